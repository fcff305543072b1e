"""What a session must not be shown less than."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entresol.cache import Entry, Key, Rank, Session, SessionTokens
from entresol.cache.session import RECENT_MAX
from entresol.errors import InvalidArgumentError

TOKENS = SessionTokens([b"a key that only tests have"])
A, B = Key("items", "a"), Key("items", "b")


def _newer_token() -> str:
    """Return a token that only a newer program with the same keys can have made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("entresol.cache.tokens._FORMAT", 3)
        return TOKENS.encode(Session().after(7))


def _entry(version: int = 1, rank: Rank = Rank.VALUE, asof: int = 0, watermark: int = 0) -> Entry:
    return Entry(version, rank, asof, watermark, b"")


@st.composite
def _sessions(draw: st.DrawFn) -> Session:
    session = Session()
    lsn = draw(st.integers(1, 1 << 60))
    for name in draw(st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), max_size=24)):
        position = lsn + draw(st.integers(0, 1 << 20))
        lsn = position + draw(st.integers(1, 1 << 20))
        version = draw(st.integers(1, 1 << 60))
        session = session.wrote(Key("items", name), version, draw(st.sampled_from(Rank)), position, lsn)
    return session


def test_an_empty_session_is_no_text_and_satisfied_by_anything() -> None:
    assert TOKENS.encode(Session()) == ""
    assert TOKENS.decode("") == Session()
    assert Session().satisfied_by(_entry(), A)


def test_an_entry_that_reflects_the_session_satisfies_it() -> None:
    session = Session().after(100)
    assert session.satisfied_by(_entry(asof=100), A)
    assert session.satisfied_by(_entry(watermark=100), A)
    assert not session.satisfied_by(_entry(asof=99, watermark=99), A)


def test_its_own_write_satisfies_a_session_before_the_relay_has_it() -> None:
    session = Session().wrote(A, 7, Rank.VALUE, 90, 100)
    assert session.satisfied_by(_entry(version=7), A)
    assert session.satisfied_by(_entry(version=8), A)
    assert not session.satisfied_by(_entry(version=6), A)
    assert not session.satisfied_by(_entry(version=7), B)


def test_a_deleted_record_is_not_shown_again() -> None:
    session = Session().wrote(A, 7, Rank.ABSENT, 90, 100)
    assert not session.satisfied_by(_entry(version=7), A)
    assert session.satisfied_by(_entry(version=7, rank=Rank.ABSENT), A)
    assert not session.satisfied_by(_entry(version=0, rank=Rank.ABSENT), A)


def test_a_write_says_nothing_of_what_came_from_elsewhere_and_may_be_newer() -> None:
    mine = Session().wrote(A, 7, Rank.VALUE, 90, 100)
    theirs = Session().after(200)  # may depend on a later version of the same record
    merged = mine.merge(theirs)
    assert not merged.satisfied_by(_entry(version=7), A)
    again = merged.wrote(A, 9, Rank.VALUE, 210, 220)
    assert again.satisfied_by(_entry(version=9), A)


def test_the_oldest_write_is_forgotten_and_then_asked_for_by_position() -> None:
    session = Session()
    for number in range(RECENT_MAX + 1):
        key = Key("items", str(number))
        session = session.wrote(key, number + 1, Rank.VALUE, 100 * number + 50, 100 * number + 60)
    assert len(session.recent) == RECENT_MAX
    assert not session.satisfied_by(_entry(version=1), Key("items", "0"))
    assert session.satisfied_by(_entry(version=2), Key("items", "1"))


@given(_sessions())
def test_a_token_carries_everything(session: Session) -> None:
    token = TOKENS.encode(session)
    assert TOKENS.decode(token) == session
    assert len(token) < 700


@given(_sessions(), _sessions())
def test_a_merge_depends_on_all_that_either_does(one: Session, two: Session) -> None:
    merged = one.merge(two)
    assert merged.lsn == max(one.lsn, two.lsn)
    assert merged.floor >= max(one.floor, two.floor)
    assert merged.merge(one).lsn == merged.lsn
    for recent in merged.recent:
        assert recent.position >= merged.floor
        assert all(
            other.order <= recent.order
            for other in (*one.recent, *two.recent)
            if other.key_hash == recent.key_hash
        )


@pytest.mark.parametrize("token", ["!", "a", "AA", "not a token", "AQ", "AYCAgA", "x" * 5000, "Aé"])
def test_what_never_was_a_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError, match="entresol-session"):
        TOKENS.decode(token)


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="entresol-session"):
        TOKENS.decode(base64.urlsafe_b64encode(data).decode())


@given(_sessions().filter(lambda session: not session.is_empty), st.integers(0, 1000), st.integers(1, 255))
def test_a_token_that_was_changed_anywhere_is_refused(session: Session, place: int, change: int) -> None:
    token = TOKENS.encode(session)
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[place % len(data)] ^= change
    with pytest.raises(InvalidArgumentError, match="entresol-session"):
        TOKENS.decode(base64.urlsafe_b64encode(data).decode())


def test_only_who_has_the_key_can_make_a_token() -> None:
    session = Session().after(1 << 60)
    with pytest.raises(InvalidArgumentError, match="entresol-session"):
        TOKENS.decode(SessionTokens([b"a key of somebody else"]).encode(session))


def test_a_key_is_changed_by_putting_the_new_one_first() -> None:
    old, new = b"the key of last year", b"the key of this year"
    token = SessionTokens([old]).encode(Session().after(7))
    both = SessionTokens([new, old])
    assert both.decode(token) == Session().after(7)
    assert SessionTokens([new]).decode(both.encode(Session().after(8))) == Session().after(8)


@pytest.mark.parametrize("keys", [[], [b"short"], [b"long enough for a key", b"short"]])
def test_keys_that_are_missing_or_short_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        SessionTokens(keys)


def test_tokens_fit_into_a_cookie_as_they_are() -> None:
    token = TOKENS.encode(Session(7, 7, (), (_newer_token(),)))
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", token)


@given(_sessions(), _sessions(), st.sampled_from([".", ",", ", "]))
def test_two_tokens_in_one_text_are_both(one: Session, two: Session, between: str) -> None:
    tokens = filter(None, (TOKENS.encode(one), TOKENS.encode(two)))
    assert TOKENS.decode(between.join(tokens)) == Session().merge(one).merge(two)


def test_a_token_of_a_newer_format_is_handed_on_and_no_entry_is_new_enough_for_it() -> None:
    newer = _newer_token()
    session = TOKENS.decode(newer).wrote(A, 7, Rank.VALUE, 90, 100)
    assert not session.satisfied_by(_entry(version=9, asof=1 << 60), A)
    assert TOKENS.decode(TOKENS.encode(session)) == session
    assert session.foreign == (newer,)


def test_what_was_read_is_part_of_the_session_and_makes_older_writes_count_no_more() -> None:
    session = Session().wrote(A, 7, Rank.VALUE, 90, 100)
    assert session.after(80) == Session(100, 80, session.recent)
    read = session.after(200)
    assert not read.satisfied_by(_entry(version=7), A)
    assert read.satisfied_by(_entry(version=8, asof=200), A)
