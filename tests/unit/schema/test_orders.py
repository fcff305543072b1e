"""Orders: what an index serves, spelled in any way that AIP-132 allows, and never ambiguous."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entresol.errors import InvalidArgumentError
from entresol.schema.model import Behavior, Resource
from entresol.schema.orders import parse_order


def order(text: str, resource: Resource) -> list[str]:
    return [
        f"{term.field.name} desc" if term.descending else term.field.name
        for term in parse_order(text, resource)
    ]


def problem(text: str, resource: Resource) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_order(text, resource)
    (violation,) = caught.value.violations
    assert violation.field == "order_by"
    return violation.description


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ["name"]),
        ("  ", ["name"]),
        ("name", ["name"]),
        ("name desc", ["name desc"]),
        ("pages desc", ["pages desc", "name"]),
        ("pages", ["pages", "name"]),
        ("pages asc", ["pages", "name"]),
        ("  pages   desc  ", ["pages desc", "name"]),
        ("pages desc, name desc", ["pages desc", "name desc"]),
        ("author", ["author", "name"]),
        ("author desc", ["author desc", "name"]),
        ("author,publish_time desc", ["author", "publish_time desc", "name"]),
        ("author desc , publish_time", ["author desc", "publish_time", "name"]),
        ("author, publish_time desc, name desc", ["author", "publish_time desc", "name desc"]),
    ],
)
def test_rule_68_an_order_is_total_and_served_by_an_index(
    text: str, terms: list[str], book: Resource
) -> None:
    assert order(text, book) == terms


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "title",
            "no index serves the order title; possible are, also reversed: name; pages desc; author, publish",
        ),
        ("publish_time", "no index serves"),
        ("author, publish_time", "no index serves the order author, publish_time;"),
        ("author desc, publish_time desc", "no index serves"),
        ("author, pages", "no index serves"),
        ("etag", "no index serves"),
        ("nothing", "has no field 'nothing'"),
        ("printer.town", "printer.town is inside a message or map, which cannot be ordered by"),
        ("pages, pages desc", "a field stands in it twice"),
        ("name, pages", "name stands before other fields"),
        ("pages descending", "expected a field, with desc behind it or not, found 'pages descending'"),
        ("pages desc desc", "expected a field"),
        ("pages,", "expected a field, with desc behind it or not, found ''"),
        (",", "expected a field"),
        ("pages DESC", "expected a field"),
        ("pages" + " " * 2000, "at most 1024"),
    ],
)
def test_rule_68_any_other_order_is_refused(text: str, why: str, book: Resource) -> None:
    assert why in problem(text, book)


def test_what_is_never_shown_orders_nothing(book: Resource) -> None:
    hidden = replace(book.by_name["pages"], behaviors=frozenset({Behavior.INPUT_ONLY}))
    fields = tuple(hidden if field.name == "pages" else field for field in book.fields)
    assert "never shown" in problem("pages desc", replace(book, fields=fields))


@given(
    st.one_of(
        st.text(max_size=40),
        st.lists(st.sampled_from(["pages", "name", "author", " desc", ",", " ", "."])).map("".join),
    )
)
def test_any_text_is_an_order_that_ends_with_the_name_or_an_invalid_argument(
    book: Resource, text: str
) -> None:
    try:
        terms = order(text, book)
    except InvalidArgumentError:
        terms = ["name"]
    assert terms[-1].startswith("name")
    assert len({term.split()[0] for term in terms}) == len(terms)
