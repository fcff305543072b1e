"""The messages of pgoutput, byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entresol.storage.changes import ChangeKind, RowChange, Transaction
from entresol.storage.pgoutput import POSTGRES_EPOCH_S, Decoder, ReplicationProtocolError

USERS, STORIES = 16384, 16385
# What stands for a value that the log does not hold.
UNCHANGED = object()


def begin(xid: int = 7, lsn: int = 0x100) -> bytes:
    return b"B" + struct.pack("!qqI", lsn, 1_000_000, xid)


def commit(lsn: int = 0x100, end: int = 0x130, time: int = 1_500_000) -> bytes:
    return b"C" + struct.pack("!Bqqq", 0, lsn, end, time)


def relation(oid: int, table: str, *columns: str, schema: str = "public") -> bytes:
    """Describe a table; a column that begins with * belongs to the replica identity."""
    parts = [
        struct.pack("!B", name.startswith("*"))
        + name.lstrip("*").encode()
        + b"\0"
        + struct.pack("!Ii", 25, -1)
        for name in columns
    ]
    head = b"R" + struct.pack("!I", oid) + schema.encode() + b"\0" + table.encode() + b"\0"
    return head + b"i" + struct.pack("!H", len(columns)) + b"".join(parts)


def row(*values: object) -> bytes:
    return struct.pack("!H", len(values)) + b"".join(map(value, values))


def value(of: object) -> bytes:
    if of is None:
        return b"n"
    if of is UNCHANGED:
        return b"u"
    text = str(of).encode()
    return b"t" + struct.pack("!I", len(text)) + text


def insert(oid: int, *values: object) -> bytes:
    return b"I" + struct.pack("!I", oid) + b"N" + row(*values)


def update(
    oid: int, new: tuple[object, ...], old: tuple[object, ...] | None = None, kind: bytes = b"K"
) -> bytes:
    before = b"" if old is None else kind + row(*old)
    return b"U" + struct.pack("!I", oid) + before + b"N" + row(*new)


def delete(oid: int, *values: object, kind: bytes = b"K") -> bytes:
    return b"D" + struct.pack("!I", oid) + kind + row(*values)


def truncate(*oids: int) -> bytes:
    return b"T" + struct.pack(f"!IB{len(oids)}I", len(oids), 0, *oids)


def decode(decoder: Decoder, *messages: bytes) -> Transaction:
    *before, last = [decoder.decode(message) for message in messages]
    assert before == [None] * len(before)
    assert last is not None
    return last


def kinds(transaction: Transaction) -> list[tuple[str, ChangeKind]]:
    return [(change.table, change.kind) for change in transaction.changes]


@pytest.fixture
def decoder() -> Decoder:
    decoder = Decoder()
    decoder.decode(relation(USERS, "users", "*name", "about", "*row_version"))
    decoder.decode(relation(STORIES, "stories", "*name", "title", "*row_version", schema="news"))
    return decoder


def test_a_transaction_comes_whole_with_its_commit(decoder: Decoder) -> None:
    told = decode(
        decoder, begin(7), insert(USERS, "users/ann", "x", 1), insert(STORIES, "stories/1", "y", 2), commit()
    )
    assert (told.xid, told.commit_lsn, told.end_lsn) == (7, 0x100, 0x130)
    assert told.commit_time_s == POSTGRES_EPOCH_S + 1.5
    assert [(c.table, c.kind, c.new, c.old) for c in told.changes] == [
        ("public.users", "insert", {"name": "users/ann", "row_version": "1"}, None),
        ("news.stories", "insert", {"name": "stories/1", "row_version": "2"}, None),
    ]


def test_an_update_has_the_row_before_it_as_far_as_the_identity_goes(decoder: Decoder) -> None:
    message = update(USERS, ("users/ann", "x", 5), ("users/ann", None, 4))
    (change,) = decode(decoder, begin(), message, commit()).changes
    assert change.kind is ChangeKind.UPDATE
    assert change.new == {"name": "users/ann", "row_version": "5"}
    assert change.old == {"name": "users/ann", "row_version": "4"}


def test_an_update_that_left_the_identity_alone_has_no_row_before_it(decoder: Decoder) -> None:
    (change,) = decode(decoder, begin(), update(USERS, ("users/ann", "x", 5)), commit()).changes
    assert change.old is None


@pytest.mark.parametrize("kind", [b"K", b"O"])
def test_a_delete_has_the_row_that_is_gone(decoder: Decoder, kind: bytes) -> None:
    (change,) = decode(decoder, begin(), delete(USERS, "users/ann", "x", 5, kind=kind), commit()).changes
    assert (change.kind, change.new, change.old) == (
        "delete",
        None,
        {"name": "users/ann", "row_version": "5"},
    )


def test_a_truncate_is_one_change_for_each_table(decoder: Decoder) -> None:
    told = decode(decoder, begin(), truncate(USERS, STORIES), commit())
    assert kinds(told) == [("public.users", ChangeKind.TRUNCATE), ("news.stories", ChangeKind.TRUNCATE)]


def test_columns_can_be_chosen_by_name() -> None:
    decoder = Decoder(columns=frozenset({"about"}))
    decoder.decode(relation(USERS, "users", "*name", "about", "*row_version"))
    (change,) = decode(decoder, begin(), insert(USERS, "users/ann", "x", 1), commit()).changes
    assert change.new == {"about": "x"}


def test_a_value_that_the_log_does_not_hold_is_absent_and_a_null_is_none() -> None:
    decoder = Decoder(columns=frozenset({"name", "about", "text"}))
    decoder.decode(relation(USERS, "users", "*name", "about", "text"))
    (change,) = decode(decoder, begin(), update(USERS, ("users/ann", UNCHANGED, None)), commit()).changes
    assert change.new == {"name": "users/ann", "text": None}


def test_a_table_that_was_altered_is_read_as_it_is_now(decoder: Decoder) -> None:
    decoder.decode(relation(USERS, "people", "*name", "*row_version", "more"))
    (change,) = decode(decoder, begin(), insert(USERS, "users/ann", 1, "z"), commit()).changes
    assert change == RowChange(
        "public.people", ChangeKind.INSERT, ("name", "row_version"), ("users/ann", "1")
    )


def test_text_is_kept_exactly(decoder: Decoder) -> None:
    name = "users/Zoë\n'\\\u2028\U0001d518"
    (change,) = decode(decoder, begin(), insert(USERS, name, "x" * 70_000, 1), commit()).changes
    assert change.new == {"name": name, "row_version": "1"}


def test_origins_types_and_messages_are_passed_over(decoder: Decoder) -> None:
    others = [
        b"O" + bytes(8) + b"there\0",
        b"Y" + bytes(4) + b"public\0mood\0",
        b"M" + bytes(9) + b"p\0" + bytes(4),
    ]
    assert decode(decoder, begin(), *others, commit()).changes == ()


def test_a_transaction_that_is_too_large_says_that_anything_in_its_tables_may_have_changed() -> None:
    decoder = Decoder(changes_max=3)
    decoder.decode(relation(USERS, "users", "*name"))
    decoder.decode(relation(STORIES, "stories", "*name"))
    few = [insert(USERS, f"users/{number}") for number in range(3)]
    assert len(decode(decoder, begin(), *few, commit()).changes) == 3
    told = decode(decoder, begin(), *few, delete(STORIES, "stories/1"), update(USERS, ("users/1",)), commit())
    assert kinds(told) == [("public.users", ChangeKind.TRUNCATE), ("public.stories", ChangeKind.TRUNCATE)]
    after = decode(decoder, begin(), insert(USERS, "users/9"), commit())
    assert kinds(after) == [("public.users", ChangeKind.INSERT)]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Z",
        commit(),
        insert(USERS, "users/ann", "x", 1),
        insert(99, "users/ann", "x", 1),
        b"B\0",
    ],
)
def test_what_is_out_of_order_or_unknown_is_an_error(decoder: Decoder, message: bytes) -> None:
    with pytest.raises(ReplicationProtocolError):
        decoder.decode(message)


@pytest.mark.parametrize(
    "message",
    [
        insert(USERS, "users/ann", "x", 1)[:-1],
        insert(USERS, "users/ann", 1),
        insert(USERS, "users/ann", "x", 1).replace(b"N", b"K", 1),
        delete(USERS, "users/ann", None, 1, kind=b"N"),
        insert(USERS, b"", "x", 1).replace(b"t", b"b", 1),
        truncate(USERS, 99),
    ],
)
def test_what_is_cut_off_or_of_another_form_is_an_error(decoder: Decoder, message: bytes) -> None:
    decoder.decode(begin())
    with pytest.raises(ReplicationProtocolError):
        decoder.decode(message)


@given(st.lists(st.binary(max_size=60) | st.sampled_from([begin(), commit(), insert(USERS, "a", "b", "c")])))
def test_no_bytes_raise_anything_else(messages: list[bytes]) -> None:
    decoder = Decoder()
    decoder.decode(relation(USERS, "users", "*name", "about", "*row_version"))
    for message in messages:
        try:
            decoder.decode(message)
        except ReplicationProtocolError:
            continue
