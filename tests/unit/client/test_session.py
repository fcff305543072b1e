"""Sessions: whatever order replies come in, no write is forgotten."""

from __future__ import annotations

import pytest

from entresol_client import Session
from entresol_client.session import TOKENS_MAX


def test_a_reply_takes_the_place_of_the_tokens_its_call_was_sent() -> None:
    session = Session()
    session.received(["a"], sent=())
    session.received(["b"], sent=("a",))
    assert session.tokens == ("b",)


def test_a_reply_without_a_token_changes_nothing() -> None:
    session = Session("a")
    session.received([], sent=("a",))
    assert session.tokens == ("a",)


def test_of_two_writes_at_once_neither_is_forgotten() -> None:
    session = Session("start")
    session.received(["first"], sent=("start",))
    session.received(["second"], sent=("start",))
    assert session.tokens == ("first", "second")
    session.received(["both"], sent=session.tokens)
    assert session.tokens == ("both",)


def test_a_session_continues_in_another_process() -> None:
    session = Session("a,b")
    assert Session(session.token).tokens == ("a", "b")
    assert Session().token == ""


def test_the_newest_tokens_are_kept() -> None:
    session = Session()
    for number in range(TOKENS_MAX + 2):
        session.received([f"t{number}"], sent=())
    assert session.tokens == tuple(f"t{number}" for number in range(2, TOKENS_MAX + 2))


@pytest.mark.parametrize("text", ["a b", "a\nb", "é", "x" * 1025])
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the token of a session"):
        Session(text)
