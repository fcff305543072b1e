"""What a session must not be shown less than."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entresol.cache import Entry, Key, Rank, Session
from entresol.cache.session import RECENT_MAX
from entresol.errors import InvalidArgumentError

A, B = Key("items", "a"), Key("items", "b")


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
    assert Session().encode() == ""
    assert Session.decode("") == Session()
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
    token = session.encode()
    assert Session.decode(token) == session
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
        Session.decode(token)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_session_or_refused(data: bytes) -> None:
    try:
        session = Session.decode(base64.urlsafe_b64encode(data).decode())
    except InvalidArgumentError:
        return
    assert session.lsn >= session.floor >= 0


def test_a_token_of_a_newer_format_is_an_empty_session() -> None:
    assert Session.decode("_____w") == Session()
