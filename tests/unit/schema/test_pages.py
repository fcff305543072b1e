"""Page tokens: they carry values exactly, only for the query and the key that made them, and nobody can read them."""

from __future__ import annotations

import base64
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entresol.errors import PageTokenError
from entresol.schema.pages import PageTokens, query_hash

KEY = b"a key for these tests"
TOKENS = PageTokens([KEY])
QUERY = query_hash("/library.v1.LibraryService/ListBooks", "shelves/a", "pages > 3", "pages desc", False)

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.binary(),
    st.integers(),
    st.floats(allow_nan=False),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(),
)


@given(st.lists(VALUES, max_size=5))
def test_a_token_gives_back_what_it_was_made_of(values: list[object]) -> None:
    found = TOKENS.read(TOKENS.issue(values, QUERY), QUERY)
    assert list(found) == values
    assert list(map(type, found)) == list(map(type, values))


@given(st.lists(VALUES, max_size=3))
def test_rule_63_a_token_is_safe_in_a_url(values: list[object]) -> None:
    assert set(TOKENS.issue(values, QUERY)) <= set(string.ascii_letters + string.digits + "-_")


def test_rule_63_a_token_cannot_be_read() -> None:
    token = TOKENS.issue(["shelves/a/books/secret", 4711], QUERY)
    sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert b"secret" not in sealed
    assert b"4711" not in sealed


def test_a_token_is_the_same_for_the_same_page_on_every_server() -> None:
    assert TOKENS.issue(["a", 1], QUERY) == PageTokens([KEY]).issue(["a", 1], QUERY)


@pytest.mark.parametrize(
    "other",
    [
        query_hash("/library.v1.LibraryService/ListShelves", "shelves/a", "pages > 3", "pages desc", False),
        query_hash("/library.v1.LibraryService/ListBooks", "shelves/b", "pages > 3", "pages desc", False),
        query_hash("/library.v1.LibraryService/ListBooks", "shelves/a", "pages > 4", "pages desc", False),
        query_hash("/library.v1.LibraryService/ListBooks", "shelves/a", "pages > 3", "", False),
        query_hash("/library.v1.LibraryService/ListBooks", "shelves/a", "pages > 3", "pages desc", True),
        query_hash(
            "/library.v1.LibraryService/ListBooks", "shelves/a", "pages > 3", "pages desc", False, "me"
        ),
        query_hash("/library.v1.LibraryService/ListBooks", "shelves/apages > 3", "", "pages desc", False),
    ],
)
def test_rule_64_a_token_of_another_query_is_refused(other: bytes) -> None:
    with pytest.raises(PageTokenError) as caught:
        TOKENS.read(TOKENS.issue(["a"], QUERY), other)
    assert caught.value.violations[0].field == "page_token"
    assert caught.value.reason == "INVALID_PAGE_TOKEN"


def test_a_token_of_another_key_is_refused() -> None:
    with pytest.raises(PageTokenError):
        PageTokens([b"another key for tests"]).read(TOKENS.issue(["a"], QUERY), QUERY)


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = TOKENS.issue(["shelves/a/books/b", 7, None], QUERY)
    sealed = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PageTokenError):
        TOKENS.read(base64.urlsafe_b64encode(sealed).decode().rstrip("="), QUERY)


@given(st.text(max_size=80))
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(PageTokenError):
        TOKENS.read(text, QUERY)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        PageTokens([b"short"])


def test_a_value_without_a_form_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        TOKENS.issue([{1}], QUERY)


def test_the_ends_of_time_fit() -> None:
    values = (
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        timedelta.min,
        timedelta.max,
    )
    assert TOKENS.read(TOKENS.issue(values, QUERY), QUERY) == values


def test_a_key_is_changed_by_putting_the_new_one_first() -> None:
    old, new = KEY, b"the key of this year"
    both = PageTokens([new, old])
    assert both.read(TOKENS.issue(["a"], QUERY), QUERY) == ("a",)
    assert PageTokens([new]).read(both.issue(["b"], QUERY), QUERY) == ("b",)
