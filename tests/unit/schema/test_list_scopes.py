"""Which scope a list belongs to, and which ones a change touches: they meet wherever the change may alter the list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from entresol.schema.filters import parse
from entresol.schema.list_scopes import scope_of, touched
from entresol.schema.model import ListScope, Resource
from entresol.schema.names import Pattern

BOOK = "shelves/a/books/1"


def scoped(book: Resource, *fields: tuple[str, ...]) -> Resource:
    return replace(
        book,
        patterns=(Pattern("shelves/{shelf}/books/{book}"),),
        list_scopes=tuple(ListScope(names, 60.0) for names in fields),
    )


@pytest.mark.parametrize(
    ("text", "parent", "expected"),
    [
        ("", None, ()),
        ("", "shelves/a", ("parent=shelves/a",)),
        ("title = x", "shelves/a", ("title=x",)),
        ("title = x AND pages > 2", None, ("title=x",)),
        ("(title = x AND pages = 2) AND title != y", None, ("title=x", "pages=2")),
        ("title = x OR title = y", None, ()),
        ("NOT title = x", None, ()),
        ('title = "x*"', None, ()),
        ("title != x", None, ()),
        ("pages = 2", None, ()),
    ],
)
def test_the_scope_is_the_narrowest_that_the_filter_pins(
    book: Resource, text: str, parent: str | None, expected: tuple[str, ...]
) -> None:
    resource = scoped(book, (), ("title",), ("title", "pages"))
    found = scope_of(resource, parent, parse(text, resource))
    assert found is not None
    assert found[1] == expected


def test_a_list_that_pins_no_scope_has_none(book: Resource) -> None:
    resource = scoped(book, ("title",))
    assert scope_of(resource, "shelves/a", parse("pages = 2", resource)) is None
    assert scope_of(book, None, None) is None


def test_a_change_touches_what_the_row_was_and_what_it_became(book: Resource) -> None:
    resource = scoped(book, (), ("title",))
    old = {"name": BOOK, "title": "x"}
    new = {"name": "shelves/b/books/1", "title": "y"}
    parents = {("parent=shelves/a",), ("parent=shelves/b",)}
    assert set(touched(resource, new, old)) == {(), ("title=x",), ("title=y",), *parents}
    assert set(touched(resource, None, old)) == {(), ("title=x",), ("parent=shelves/a",)}
    assert set(touched(resource, new, None)) == {(), ("title=y",), ("parent=shelves/b",)}


def test_a_change_of_a_singleton_touches_the_lists_of_its_parent(book: Resource) -> None:
    resource = replace(scoped(book, ()), patterns=(Pattern("shelves/{shelf}/books/{book}/cover"),))
    found = scope_of(resource, BOOK, None)
    assert found is not None
    assert found[1] in set(touched(resource, {"name": f"{BOOK}/cover"}, None))


def test_a_name_of_no_pattern_touches_who_knows_what(book: Resource) -> None:
    assert None in set(touched(scoped(book, ()), {"name": "elsewhere/1"}, None))


@pytest.mark.parametrize("row", [{"name": BOOK}, {"name": BOOK, "title": None}])
def test_a_value_that_is_not_told_touches_who_knows_what(book: Resource, row: dict[str, str | None]) -> None:
    assert None in set(touched(scoped(book, ("title",)), row, None))
