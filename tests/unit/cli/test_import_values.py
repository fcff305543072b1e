"""A cell becomes exactly what its field holds, or the row is refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from entresol.cli.imports.mapping import message_of, parse_mapping
from entresol.cli.imports.source import Source
from entresol.errors import ConfigurationError, InvalidArgumentError
from entresol.schema.model import Resource

Make = Callable[..., Source]


def made(book: Resource, source: Make, field: str, cell: Any) -> Any:
    """Return what a cell of a column becomes, as JSON has it; None when the field is not set."""
    sources = parse_mapping(["name=name", f"{field}=cell"], book, source("name,cell\n"))
    message = message_of(book, sources, {"name": "shelves/a/books/b", "cell": cell})
    return MessageToDict(message, preserving_proto_field_name=True).get(field)


VALUES = [
    ("title", "text", "text"), ("title", 5, "5"), ("title", 1.5, "1.5"), ("title", True, "true"), ("title", "", None),
    ("title", None, None), ("title", " x ", " x "), ("subtitle", "x", "x"),
    ("pages", "42", 42), ("pages", " 42 ", 42), ("pages", "-7", -7), ("pages", "+7", 7), ("pages", 42, 42),
    ("pages", 42.0, 42), ("pages", "0", None),
    ("sold", "18446744073709551615", "18446744073709551615"),
    ("price", "1.5", 1.5), ("price", "-2e3", -2000.0), ("price", 3, 3.0), ("price", "Infinity", "Infinity"),
    ("weight", "0.5", 0.5),
    ("lendable", "true", True), ("lendable", "YES", True), ("lendable", "1", True), ("lendable", True, True),
    ("lendable", "no", None), ("lendable", "f", None),
    ("binding", "PAPERBACK", "PAPERBACK"), ("binding", "2", "HARDCOVER"), ("binding", 1, "PAPERBACK"),
    ("binding", "7", 7),
    ("digest", "AQI=", "AQI="), ("digest", "-_8=", "+/8="),
    ("publish_time", "2016-08-04T11:52:00Z", "2016-08-04T11:52:00Z"),
    ("publish_time", "2016-08-04 11:52", "2016-08-04T11:52:00Z"),
    ("publish_time", "2016-08-04", "2016-08-04T00:00:00Z"),
    ("publish_time", "2016-08-04T11:52:00.25+02:00", "2016-08-04T09:52:00.250Z"),
    ("publish_time", "2016-08-04T11:52:00.123456-0030", "2016-08-04T12:22:00.123456Z"),
    ("publish_time", "1470311520", "2016-08-04T11:52:00Z"), ("publish_time", 1470311520, "2016-08-04T11:52:00Z"),
    ("publish_time", 1470311520.5, "2016-08-04T11:52:00.500Z"),
    ("publish_time", "1470311520.123456", "2016-08-04T11:52:00.123456Z"),
    ("publish_time", "-0.5", "1969-12-31T23:59:59.500Z"), ("publish_time", "0", "1970-01-01T00:00:00Z"),
    ("reading_time", "1.5s", "1.500s"), ("reading_time", "-90", "-90s"), ("reading_time", 0.25, "0.250s"),
    ("reading_time", "-0.5s", "-0.500s"), ("reading_time", "0", "0s"),
    ("rating", "0", 0), ("rating", 5, 5), ("rating", "-3", -3),
    ("tags", "a;b", ["a", "b"]), ("tags", '["a;b", "c"]', ["a;b", "c"]), ("tags", ["x", "y"], ["x", "y"]),
    ("tags", "a", ["a"]), ("tags", ";a;;b;", ["a", "b"]),
    ("bindings", "PAPERBACK;2", ["PAPERBACK", "HARDCOVER"]), ("bindings", ["HARDCOVER"], ["HARDCOVER"]),
    ("labels", '{"a": "b"}', {"a": "b"}), ("labels", {"a": "b"}, {"a": "b"}), ("copies", '{"2020": 5}', {"2020": "5"}),
    ("printer", '{"town": "Ulm"}', {"town": "Ulm"}),
    ("printer", {"town": "Ulm", "number": 3}, {"town": "Ulm", "number": "3"}),
    ("reviews", '[{"reader": "me", "stars": 3}]', [{"reader": "me", "stars": 3}]),
    ("extra", '{"a": [1, null]}', {"a": [1.0, None]}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "cell", "value"), VALUES, ids=[f"{v[0]}-{v[1]!r}" for v in VALUES])
def test_a_cell_becomes_the_value_of_its_field(
    book: Resource, source: Make, field: str, cell: Any, value: Any
) -> None:
    assert made(book, source, field, cell) == value


WRONG = [
    ("title", ["a"], "is not text"), ("title", "\ud800", "does not fit"),
    ("pages", "many", "is not a whole number"), ("pages", "1.5", "is not a whole number"), ("pages", 1.5, "whole"),
    ("pages", "1_000", "whole"), ("pages", "1,000", "whole"), ("pages", "\u0663", "whole"), ("pages", True, "whole"),
    ("pages", "0x10", "whole"), ("pages", "9" * 5000, "whole"), ("pages", "2147483648", "does not fit"),
    ("sold", "-1", "does not fit"), ("sold", "18446744073709551616", "does not fit"),
    ("price", "high", "is not a number"), ("price", "1_0", "is not a number"), ("price", "1,5", "is not a number"),
    ("price", True, "is not a number"), ("weight", "1e39", "is too large"),
    ("lendable", "maybe", "is neither true nor false"), ("lendable", "2", "is neither true nor false"),
    ("binding", "paperback", "is none of BINDING_UNSPECIFIED, PAPERBACK, HARDCOVER"), ("binding", 1.5, "is none of"),
    ("digest", "no base64!", "is not base64"), ("digest", "abc", "is not base64"),
    ("publish_time", "yesterday", "is no time; write 2016-08-04T11:52:00Z"), ("publish_time", "8/4/2016", "is no time"),
    ("publish_time", "2016-13-01", "is no time"), ("publish_time", "2016-08-04T25:00:00Z", "is no time"),
    ("publish_time", "2016-08-04T11:52:00.1234567891Z", "is no time"), ("publish_time", True, "is no time"),
    ("publish_time", "1.0000000001", "is finer"), ("publish_time", "9" * 40, "does not fit"),
    ("reading_time", "an hour", "is no duration; write seconds"), ("reading_time", "1m", "is no duration"),
    ("reading_time", "9" * 30, "does not fit"),
    ("rating", "five", "is not a whole number"), ("rating", "9999999999", "does not fit"),
    ("bindings", "PAPERBACK;SOFT", "is none of"), ("tags", "[1", "is not JSON"), ("tags", [["a"]], "is not text"),
    ("tags", [None], "is not text"),
    ("labels", "a=b", "is not the JSON of this field"), ("labels", "{", "is not JSON"),
    ("labels", '{"a": {}}', "is not the JSON"),
    ("printer", '{"nothing": 1}', "is not the JSON of this field"), ("reviews", '{"stars": "many"}', "is not the JSON"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "cell", "problem"), WRONG, ids=[f"{w[0]}-{str(w[1])[:20]!r}" for w in WRONG]
)
def test_a_cell_that_does_not_fit_is_refused_and_shown(
    book: Resource, source: Make, field: str, cell: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        made(book, source, field, cell)
    (violation,) = caught.value.violations
    assert violation.field == field
    assert problem in violation.description
    assert len(violation.description) < 400


def test_all_wrong_cells_of_a_row_are_told_at_once(book: Resource, source: Make) -> None:
    columns = ["name=name", "pages=pages", "price=price", "title=title"]
    sources = parse_mapping(columns, book, source("name,pages,price,title\n"))
    row = {"name": "shelves/a/books/b", "pages": "many", "price": "high", "title": "t"}
    with pytest.raises(InvalidArgumentError) as caught:
        message_of(book, sources, row)
    assert [violation.field for violation in caught.value.violations] == ["pages", "price"]


def mapped(book: Resource, source: Make, *pairs: str, **row: Any) -> Any:
    sources = parse_mapping(pairs, book, source(",".join(row) + "\n"))
    return message_of(book, sources, row)


def test_a_template_puts_columns_into_text(book: Resource, source: Make) -> None:
    pairs = ("name=shelves/{shelf}/books/{id}", "title={id}. {t}")
    message = mapped(book, source, *pairs, shelf="a", id=7, t="x")
    assert (message.name, message.title) == ("shelves/a/books/7", "7. x")


def test_a_template_with_an_empty_column_is_no_value(book: Resource, source: Make) -> None:
    message = mapped(book, source, "name=shelves/{shelf}/books/{id}", "title=t{id}", shelf="", id="7")
    assert (message.name, message.title) == ("", "t7")


def test_a_value_in_a_template_is_not_taken_for_a_template(book: Resource, source: Make) -> None:
    message = mapped(book, source, "name=n", "title={a}{b}", n="shelves/a/books/b", a="{b}", b="x")
    assert message.title == "{b}x"


def test_without_a_mapping_columns_go_where_their_names_say(book: Resource, source: Make) -> None:
    made_of = source(
        '{"pages": 3, "other": 1}\n{"name": "shelves/a/books/b", "etag": "x", "create_time": 1}\n', "r.ndjson"
    )
    assert [one.field.name for one in parse_mapping((), book, made_of)] == ["name", "pages"]


BAD_MAPPINGS = [
    (["title"], "write FIELD=COLUMN"),
    (["title="], "write FIELD=COLUMN"),
    (["nothing=a"], "nothing is not a field to import; choose of name, title"),
    (["etag=a"], "etag is not a field to import"),
    (["create_time=a"], "create_time is not a field to import"),
    (["name=x"], "rows.csv has no column x; it has a, b"),
    (["name=shelves/{a}/books/{x}"], "has no column x"),
    (["title=a"], "nothing gives `name`: add --map name=shelves/{shelf}/books/{book}"),
    (["name=a", "title=a", "title=b"], "the field is given 2 times"),
    ([], "nothing gives `name`"),
]


@pytest.mark.parametrize(
    ("pairs", "problem"), BAD_MAPPINGS, ids=[" ".join(pairs) for pairs, _ in BAD_MAPPINGS]
)
def test_a_mapping_that_cannot_be_is_refused_with_what_can(
    book: Resource, source: Make, pairs: list[str], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_mapping(pairs, book, source("a,b\n1,2\n"))
    assert problem in caught.value.message
