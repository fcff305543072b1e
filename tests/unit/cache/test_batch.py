"""What the relay makes of transactions: one stamp for each record, calls that are whole or repeated."""

from __future__ import annotations

from dataclasses import dataclass, field

from entresol.cache.batch import CHANGES_MAX, CHANGES_PER_CALL, Advance, Batch, Change
from entresol.cache.entry import Rank, hexed, stamp
from entresol.cache.feed import Event
from entresol.cache.keys import Layout
from entresol.cache.scopes import Scopes
from entresol.cache.scripts import Scripts
from entresol.schema.model import ListScope, Resource
from entresol.schema.names import Pattern

LAYOUT = Layout("test", 2, 16)
KEYS = (b"meta", b"fences", b"changes")


@dataclass
class Row:
    kind: str
    new: dict[str, str | None] | None = None
    old: dict[str, str | None] | None = None
    table: str = "public.items"


@dataclass
class Transaction:
    xid: int
    end_lsn: int
    changes: list[Row] = field(default_factory=list)
    commit_time_s: float = 0.0


@dataclass
class Keepalive:
    wal_end: int


def _row(name: str, version: int) -> dict[str, str | None]:
    return {"name": name, "row_version": str(version)}


def _batch(*events: Event) -> Batch:
    return Batch.of(events, 5, LAYOUT)


def _scope(*pins: str) -> Change:
    return Change(LAYOUT.scope("items", pins), 10, b"")


def _change(name: str, position: int, mark: bytes) -> Change:
    return Change(LAYOUT.place("items", name), position, mark)


def test_each_record_gets_the_stamp_of_its_change() -> None:
    batch = _batch(
        Transaction(1, 10, [Row("insert", _row("a", 1)), Row("update", _row("b", 2), _row("b", 1))]),
        Keepalive(15),
        Transaction(2, 20, [Row("delete", None, _row("a", 1))]),
        Keepalive(12),
    )
    assert batch.newest == 20
    assert batch.xids == {1, 2}
    assert batch.changes == [
        _change("a", 10, stamp(1, Rank.VALUE)),
        _change("b", 10, stamp(2, Rank.VALUE)),
        _change("a", 20, stamp(1, Rank.ABSENT)),
    ]


def test_of_several_changes_in_one_transaction_the_last_is_what_happened() -> None:
    rows = [Row("delete", None, _row("a", 1)), Row("insert", _row("a", 3)), Row("delete", None, _row("a", 3))]
    assert _batch(Transaction(1, 10, rows)).changes == [_change("a", 10, stamp(3, Rank.ABSENT))]


def test_a_new_name_is_a_change_of_both_names() -> None:
    changes = _batch(Transaction(1, 10, [Row("update", _row("b", 2), _row("a", 1))])).changes
    assert changes == [_change("a", 10, stamp(1, Rank.ABSENT)), _change("b", 10, stamp(2, Rank.VALUE))]


def test_truncate_and_more_changes_than_can_be_named_raise_the_floor_of_their_table() -> None:
    other = Row("insert", _row("x", 1), table="others")
    place = LAYOUT.place("others", "x")
    for many in ([Row("truncate")], [Row("insert", _row("a", 1))] * (CHANGES_MAX + 1)):
        batch = _batch(Transaction(1, 10, [*many, other]))
        assert batch.floors == {b"f:items": 10}
        assert batch.changes == [Change(place, 10, stamp(1, Rank.VALUE))]
    batch = _batch(Transaction(1, 10, [*([Row("insert", _row("a", 1))] * CHANGES_MAX), other]))
    assert not batch.floors
    assert len(batch.changes) == 2


def test_the_newest_of_several_floors_counts_and_later_changes_are_named() -> None:
    truncations = [Transaction(1, 10, [Row("truncate")]), Transaction(2, 20, [Row("truncate")])]
    batch = _batch(*truncations, Transaction(3, 30, [Row("insert", _row("a", 1))]))
    assert batch.floors == {b"f:items": 20}
    assert batch.changes == [_change("a", 30, stamp(1, Rank.VALUE))]


def test_rows_without_name_or_version_are_no_error() -> None:
    batch = _batch(Transaction(1, 10, [Row("insert", {"id": "1"}), Row("update", {"name": "a"})]))
    assert batch.changes == [_change("a", 10, b"")]
    assert not batch.floors


def test_nothing_new_leaves_the_position() -> None:
    assert _batch().newest == 5


def _advance() -> Advance:
    return Advance(Scripts.load().advance, 5, 99, b"generate", "database")


def test_without_changes_there_is_one_call_which_moves_the_watermark() -> None:
    (command,) = _advance().commands(KEYS, [], {})
    assert command[2:6] == (3, *KEYS)
    assert command[6:] == (hexed(5), hexed(99), hexed(99), b"generate", "database", "", b"", b"", b"", 0)


def test_only_the_last_of_many_calls_moves_the_watermark_and_each_looks_for_the_one_before() -> None:
    changes = [_change(f"n{number}", 50, b"") for number in range(2 * CHANGES_PER_CALL + 1)]
    calls = _advance().commands(KEYS, changes, {b"f:items": 40})
    arguments = [command[3 + int(command[2]) :] for command in calls]
    assert [item[1] for item in arguments] == [hexed(5), hexed(5), hexed(99)]
    assert [item[2] for item in arguments] == [hexed(99)] * 3
    assert arguments[0][6] == b""
    assert arguments[1][6] == arguments[0][7] != b""
    assert arguments[2][6] == arguments[1][7] != arguments[0][7]
    assert arguments[2][7] == b""
    assert [item[9] for item in arguments] == [1, 0, 0]
    assert arguments[0][10:12] == (b"f:items", hexed(40))


def test_a_key_that_changed_twice_is_passed_once() -> None:
    (command,) = _advance().commands(KEYS, [_change("a", 50, b""), _change("a", 60, b"")], {})
    assert command[2] == 4
    assert command.count(LAYOUT.place("items", "a").entry) == 1


def test_what_lists_a_change_touches_is_told_beside_the_records() -> None:
    item = Resource(
        type="test/Item",
        message="test.Item",
        singular="item",
        plural="items",
        patterns=(Pattern("boxes/{box}/items/{item}"),),
        table="items",
        fields=(),
        list_scopes=(ListScope((), 60.0),),
    )
    rows = [
        Row("update", _row("boxes/b/items/1", 2), _row("boxes/a/items/1", 1)),
        Row("insert", {}, None, "public.x"),
    ]
    batch = Batch.of([Transaction(1, 10, rows)], 5, LAYOUT, Scopes.of([item]))
    assert set(batch.stamps()) == {_scope(), _scope("parent=boxes/a"), _scope("parent=boxes/b")}
    stamp_of = _scope("parent=boxes/a")
    (command,) = _advance().commands(KEYS, [stamp_of], {})
    assert command[2:6] == (3, *KEYS)
    assert command[-4:] == (0, stamp_of.place.bucket, hexed(10), b"")
