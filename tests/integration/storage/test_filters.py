"""Filters against real rows: what each form of AIP-160 matches, and that NOT leaves out exactly that."""

from __future__ import annotations

from typing import Any

import pytest

from entresol.schema.filters import parse
from entresol.schema.model import Model, Resource
from entresol.storage.store import ListQuery, Store

SPECIMENS: dict[str, dict[str, Any]] = {
    "empty": {},
    "ape": {
        "string_field": "ape",
        "int32_field": 3,
        "uint64_field": 2**64 - 1,
        "int64_field": -(2**63),
        "float_field": 0.1,
        "double_field": 2.5,
        "bool_field": True,
        "diet": "DIET_PLANTS",
        "bytes_field": b"\x01\xff",
        "time_field": {"seconds": 1_700_000_000},
        "duration_field": {"seconds": 90, "nanos": 500_000_000},
        "optional_string": "",
        "strings": ["green", "50%_off\\"],
        "int32_numbers": [1, 2],
        "uint64_numbers": [2**64 - 1],
        "diets": ["DIET_PLANTS", "DIET_MEAT"],
        "times": [{"seconds": 1_700_000_000}],
        "labels": {"size": "big", "a.b": "dotted", "zero": ""},
        "counts": {7: 2**63, -1: 0},
        "choices": {True: "DIET_MEAT"},
        "string_value": {"value": "wrapped"},
        "uint64_value": {"value": 12},
        "centimetres": 0,
    },
    "bat": {
        "string_field": "Bat 50%_off\\",
        "int32_field": -1,
        "double_field": float("nan"),
        "diet": 77,
        "time_field": {"seconds": 1_800_000_000},
        "duration_field": {"seconds": -1},
        "optional_string": "word",
        "words": "wings",
        "part": {
            "label": "wing",
            "count": 2,
            "length": 1.5,
            "sample": b"\x00",
            "diet": "DIET_MEAT",
            "found": {"seconds": 1_700_000_000},
            "kept": {"seconds": 3},
            "weight": {"value": 0.25},
            "number": 0,
            "words": ["left", "right"],
            "remarks": {"en": "nice"},
            "moves": True,
            "parts": [{"label": "finger", "words": ["thumb"]}, {"count": 5}],
        },
        "parts": [{"label": "ear", "parts": [{"label": "lobe"}]}, {"label": "tail", "count": 1}],
        "parts_by_name": {"left": {"label": "wing", "count": 1}},
        "string_values": [{"value": "x"}],
    },
    "cat": {"part": {}, "parts": [{}], "double_field": -0.0, "labels": {"size": "small"}},
}

CASES = [
    # Columns.
    ('string_field = "ape"', "ape"),
    ("string_field != ape", "bat cat empty"),
    ('string_field = ""', "cat empty"),
    ('string_field = "*off\\\\"', "bat"),
    ('string_field = "50%*"', ""),
    ('string_field != "a*"', "bat cat empty"),
    ('string_field < "a"', "bat cat empty"),  # code points: upper case first
    ("int32_field = 3", "ape"),
    ("int32_field != 3", "bat cat empty"),
    ("int32_field < 0", "bat"),
    ("int32_field >= 0", "ape cat empty"),
    ("uint64_field = 18446744073709551615", "ape"),
    ("uint64_field < 18446744073709551615", "bat cat empty"),
    ("int64_field = -9223372036854775808", "ape"),
    ("float_field = 0.1", "ape"),
    ("float_field > 0.1", ""),
    ("double_field = 2.5", "ape"),
    ("double_field > 1e300", "bat"),  # PostgreSQL counts NaN as the largest
    ("double_field = 0", "cat empty"),
    ("bool_field = true", "ape"),
    ("bool_field != true", "bat cat empty"),
    ("diet = DIET_PLANTS", "ape"),
    ("diet != DIET_UNSPECIFIED", "ape bat"),
    ('bytes_field = "Af8="', "ape"),
    ('time_field < "2025-01-01T00:00:00+01:00"', "ape"),
    ('time_field != "2025-01-01T00:00:00Z"', "ape bat"),  # unset does not match
    ("duration_field > 90s", "ape"),
    ("duration_field <= -1s", "bat"),
    ('name = "specimens/cat"', "cat"),
    # Presence.
    ("optional_string = word", "bat"),
    ('optional_string = ""', "ape"),
    ("optional_string != word", "ape"),
    ("optional_string:*", "ape bat"),
    ("string_field:*", "ape bat"),
    ("int32_field:*", "ape bat"),
    ("time_field:*", "ape bat"),
    ("strings:*", "ape"),
    ("labels:*", "ape cat"),
    ("part:*", "bat cat"),
    ("parts:*", "bat cat"),
    ("string_value:*", "ape"),
    ("string_value = wrapped", "ape"),
    ("uint64_value >= 12", "ape"),
    ("uint64_value != 13", "ape"),
    ("centimetres = 0", "ape"),
    ("words = wings", "bat"),
    # Lists.
    ("strings:green", "ape"),
    ("int32_numbers:2", "ape"),
    ("uint64_numbers:18446744073709551615", "ape"),
    ("diets:DIET_MEAT", "ape"),
    ('times:"2023-11-14T22:13:20Z"', "ape"),
    ('strings:"gr*"', "ape"),
    ("parts.label:ear", "bat"),
    ("parts.parts.label:lobe", "bat"),
    ("parts.count:0", "bat cat"),  # an element that leaves the number out
    ("part.words:left", "bat"),
    ("part.parts.words:thumb", "bat"),
    ("string_values:*", "bat"),
    # Maps.
    ("labels:size", "ape cat"),
    ("labels.size = big", "ape"),
    ("labels.size != big", "cat"),
    ("labels.size:small", "cat"),
    ('labels."a.b" = dotted', "ape"),
    ("labels.zero:*", "ape"),
    ("labels.missing = x", ""),
    ("counts.7 = 9223372036854775808", "ape"),
    ("counts.7 > 1", "ape"),
    ("choices.true = DIET_MEAT", "ape"),
    ("parts_by_name.left.count = 1", "bat"),
    ("parts_by_name.left.length = 0", "bat"),
    ("parts_by_name.right.length = 0", ""),
    # Messages.
    ("part.label = wing", "bat"),
    ("part.label != wing", "cat"),
    ("part.count = 2", "bat"),
    ("part.count = 0", "cat"),
    ("part.count < 2", "cat"),
    ("part.length >= 1.5", "bat"),
    ('part.sample = "AA=="', "bat"),
    ("part.diet = DIET_MEAT", "bat"),
    ("part.diet = DIET_UNSPECIFIED", "cat"),
    ("part.diet != DIET_MEAT", "cat"),
    ('part.found = "2023-11-14T22:13:20Z"', "bat"),
    ('part.found > "2023-11-14T22:13:20Z"', ""),
    ("part.kept = 3s", "bat"),
    ("part.weight = 0.25", "bat"),
    ("part.number = 0", "bat"),
    ("part.moves = true", "bat"),
    ("part.moves != true", "cat"),
    ("part.remarks.en = nice", "bat"),
    ("part.remarks:en", "bat"),
    ("part.parts:*", "bat"),
    # Together.
    ("int32_field = 3 OR int32_field = -1 AND string_field:*", "ape bat"),
    ("-string_field:* AND -part:*", "empty"),
    ("NOT (part.count = 0 OR strings:green)", "bat empty"),
    ("APE", "ape"),
    ('"50%_off\\\\"', "bat"),
    ('"50%x"', ""),
]


@pytest.fixture
async def specimens(store: Store, zoo: Model) -> Resource:
    resource = zoo.resources["zoo.example.com/Specimen"]
    async with store.transaction() as transaction:
        messages = [
            resource.message_class(name=f"specimens/{name}", **fields) for name, fields in SPECIMENS.items()
        ]
        await transaction.insert(resource, messages)
    return resource


async def found(store: Store, resource: Resource, text: str) -> list[str]:
    page = await store.list(resource, ListQuery(filter=parse(text, resource)), primary=True)
    return [row.name.removeprefix("specimens/") for row in page.rows]


async def test_filters_match_what_they_say_and_not_matches_the_rest(
    store: Store, specimens: Resource
) -> None:
    wrong = {}
    for text, expected in CASES:
        names = await found(store, specimens, text)
        others = await found(store, specimens, f"NOT ({text})")
        if names != expected.split() or sorted(names + others) != sorted(SPECIMENS):
            wrong[text] = (names, others)
    assert wrong == {}


async def test_values_of_a_struct_are_compared_only_with_values_of_their_type(
    store: Store, zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    contents = {"text": "7", "number": 7.0, "true": True, "null": None, "list": [7.0], "none": {}}
    messages = []
    for name, value in contents.items():
        message: Any = resource.message_class(name=f"specimens/{name}")
        if name != "none":
            message.extra["key"] = value
        messages.append(message)
    async with store.transaction() as transaction:
        await transaction.insert(resource, messages)
    assert await found(store, resource, 'extra.key = "7"') == ["text"]
    assert await found(store, resource, "extra.key > 6") == ["number"]
    assert await found(store, resource, "extra.key = true") == ["true"]
    assert await found(store, resource, "extra.key:*") == ["list", "number", "text", "true"]
