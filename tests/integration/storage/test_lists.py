"""Pages: every row once, in the order asked for, whatever is NULL, equal or written meanwhile."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from entresol.schema.model import Model, Resource
from entresol.schema.orders import parse_order
from entresol.schema.pages import PageTokens
from entresol.storage.store import ListQuery, Row, Store

ORDERS = [
    "",
    "name desc",
    "int32_field desc",
    "int32_field",
    "time_field",
    "time_field desc",
    "diet, optional_string desc",
    "diet desc, optional_string",
    "diet",
    "uint64_field desc",
    "double_field",
    "duration_field desc, name desc",
]


@pytest.fixture
async def specimens(store: Store, zoo: Model) -> list[Any]:
    resource = zoo.resources["zoo.example.com/Specimen"]
    source = random.Random(7)

    def maybe(name: str, value: object) -> dict[str, object]:
        return {name: value} if source.random() < 0.6 else {}

    messages = [
        resource.message_class(
            name=f"specimens/s{number:02}",
            int32_field=source.randint(-1, 1),
            diet=source.randint(0, 2),
            uint64_field=source.choice([0, 2**63, 2**64 - 1]),
            double_field=source.choice([0.0, -1.5, math.inf, math.nan]),
            **maybe("time_field", {"seconds": source.randint(0, 2), "nanos": 1000}),
            **maybe("optional_string", source.choice(["", "a", "Z", "ä", "a_b"])),
            **maybe("duration_field", {"seconds": source.randint(-1, 1)}),
        )
        for number in range(40)
    ]
    async with store.transaction() as transaction:
        await transaction.insert(resource, messages)
    return messages


async def pages(store: Store, resource: Resource, text: str, size: int) -> list[list[Row]]:
    """Return all pages, their values carried by tokens as they are between a server and a client."""
    tokens, order = PageTokens([b"0123456789abcdef"]), parse_order(text, resource)
    found: list[list[Row]] = []
    after: tuple[Any, ...] | None = None
    while True:
        page = await store.list(resource, ListQuery(order=order, after=after, limit=size), primary=True)
        found.append(list(page.rows))
        if not page.more:
            return found
        after = tokens.read(tokens.issue(page.last, b"query"), b"query")


@pytest.mark.parametrize("text", ORDERS)
async def test_pages_of_any_size_add_up_to_the_whole_order(
    text: str, store: Store, specimens: list[Any], zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    (whole,) = await pages(store, resource, text, 1000)
    assert len(whole) == len(specimens)
    for size in (1, 7, 40):
        found = await pages(store, resource, text, size)
        assert [row for page in found for row in page] == whole
        assert {len(page) for page in found[:-1]} <= {size}
        assert found[-1]


async def test_null_is_the_largest_value_in_both_directions(
    store: Store, specimens: list[Any], zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    unset = [not message.HasField("time_field") for message in specimens]
    for text, expected in (("time_field", sorted(unset)), ("time_field desc", sorted(unset, reverse=True))):
        (rows,) = await pages(store, resource, text, 1000)
        messages: list[Any] = [resource.message_class.FromString(row.message) for row in rows]
        assert [not message.HasField("time_field") for message in messages] == expected


async def test_a_page_stays_within_its_parent_and_hides_what_is_deleted(store: Store, zoo: Model) -> None:
    house, room = zoo.resources["zoo.example.com/House"], zoo.resources["zoo.example.com/Room"]
    names = ["houses/a/rooms/1", "houses/a/rooms/2", "houses/b/rooms/1"]
    async with store.transaction() as transaction:
        await transaction.insert(house, [house.message_class(name=f"houses/{name}") for name in "ab"])
        await transaction.insert(room, [room.message_class(name=name) for name in names])
        await transaction.delete(room, "houses/a/rooms/2", version=None, force=False)

    async def listed(**query: Any) -> list[str]:
        return [row.name for row in (await store.list(room, ListQuery(**query), primary=True)).rows]

    assert await listed() == ["houses/a/rooms/1", "houses/b/rooms/1"]
    assert await listed(parent="houses/a") == ["houses/a/rooms/1"]
    assert await listed(parent="houses/a", show_deleted=True) == ["houses/a/rooms/1", "houses/a/rooms/2"]
    assert await listed(parent="houses/none") == []


async def test_a_last_page_that_is_full_says_that_nothing_follows(
    store: Store, specimens: list[Any], zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    page = await store.list(resource, ListQuery(limit=len(specimens)), primary=True)
    assert len(page.rows) == len(specimens)
    assert not page.more
    empty = await store.list(resource, ListQuery(after=page.last, limit=5), primary=True)
    assert (empty.rows, empty.more, empty.last) == ((), False, ())
