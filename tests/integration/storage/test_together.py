"""Updates that come at the same moment: one transaction for all, and none of them waits for, or fails by, another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from entresol.errors import UnavailableError
from entresol.schema.model import Model, Resource
from entresol.storage import together
from entresol.storage.rows import RowCodec
from entresol.storage.store import Committed, Row, Store
from entresol.testing.servers import Database


@pytest.fixture
def zoos(zoo: Model) -> Resource:
    return zoo.resources["zoo.example.com/Zoo"]


async def insert(store: Store, zoos: Resource, *ids: str) -> dict[str, Row]:
    messages = [zoos.message_class(name=f"zoos/{one}") for one in ids]
    async with store.transaction() as transaction:
        rows = await transaction.insert(zoos, messages)
    return {row.name: row for row in rows}


async def update(
    store: Store, zoos: Resource, id_: str, town: str = "Ulm", version: int | None = None
) -> Committed | None:
    fields = (zoos.by_name["town"],)
    message = zoos.message_class(name=f"zoos/{id_}", town=town)
    return await store.update(zoos, message, fields, version=version)


async def towns(store: Store, zoos: Resource, *ids: str) -> list[str]:
    read = await store.get(zoos, [f"zoos/{one}" for one in ids], primary=True)
    messages: list[Any] = [zoos.message_class.FromString(row.message) for _, row in sorted(read.rows.items())]
    return [message.town for message in messages]


def town_of(zoos: Resource, committed: Committed | None) -> str:
    assert committed is not None
    message: Any = zoos.message_class.FromString(committed.message)
    return str(message.town)


def commits(done: Sequence[Committed | None]) -> int:
    """Return how many transactions the updates were; those of one share a position."""
    return len({committed.commit_lsn for committed in done if committed})


async def transactions(database: Database, zoos: Resource) -> int:
    """Return how many transactions wrote what the rows are now."""
    return int(await database.psql(f"SELECT count(DISTINCT xmin::text) FROM {zoos.table}"))


async def test_updates_of_one_moment_are_one_transaction(
    store: Store, zoos: Resource, database: Database
) -> None:
    ids = [f"z{number:02}" for number in range(40)]
    before = await insert(store, zoos, *ids)
    done = await asyncio.gather(*(update(store, zoos, one, f"town {one}") for one in ids))
    assert await transactions(database, zoos) == 1
    for one, committed in zip(ids, done, strict=True):
        assert committed is not None
        (change,) = committed.changes
        assert change.name == f"zoos/{one}"
        assert change.version > before[change.name].version
        assert change.position <= committed.commit_lsn
        assert change.row is not None
        assert change.row.message == committed.message
    assert await towns(store, zoos, *ids) == [f"town {one}" for one in ids]
    lsn = max(committed.commit_lsn for committed in done if committed)
    read = await store.get(zoos, [f"zoos/{ids[-1]}"], at_least=lsn)
    assert [row.message for row in read.rows.values()] == [done[-1].message if done[-1] else b""]


async def test_what_cannot_be_done_is_left_to_a_transaction_that_can_tell_why(
    store: Store, zoos: Resource
) -> None:
    rows = await insert(store, zoos, "here", "stale")
    stale = rows["zoos/stale"].version + 1_000_000
    done = await asyncio.gather(
        update(store, zoos, "here", version=rows["zoos/here"].version),
        update(store, zoos, "stale", version=stale),
        update(store, zoos, "nowhere", version=stale),
    )
    assert [committed is None for committed in done] == [False, True, True]
    assert await towns(store, zoos, "here", "stale") == ["Ulm", ""]


async def test_updates_of_one_record_are_one_transaction_each_with_its_own_value_and_version(
    store: Store, zoos: Resource
) -> None:
    before = (await insert(store, zoos, "a"))["zoos/a"].version
    wanted = [f"town {number}" for number in range(40)]
    done = await asyncio.gather(*(update(store, zoos, "a", town) for town in wanted))
    assert commits(done) == 1
    changes = [committed.changes[0] for committed in done if committed]
    assert [change.version - before for change in changes] == list(range(1, 41))
    assert [town_of(zoos, committed) for committed in done] == wanted
    positions = [change.position for change in changes]
    assert positions == sorted(set(positions))
    read = await store.get(zoos, ["zoos/a"], primary=True)
    assert read.rows["zoos/a"] == changes[-1].row


async def test_of_one_record_a_second_update_with_the_same_etag_is_left_out(
    store: Store, zoos: Resource
) -> None:
    rows = await insert(store, zoos, "a", "b")
    version = rows["zoos/a"].version
    first, stale, other, second = await asyncio.gather(
        update(store, zoos, "a", "stale", version=version - 1),
        update(store, zoos, "a", "first", version=version),
        update(store, zoos, "b", "other", version=rows["zoos/b"].version),
        update(store, zoos, "a", "second", version=version),
    )
    assert first is second is None
    assert town_of(zoos, stale) == "first"
    assert town_of(zoos, other) == "other"
    assert await towns(store, zoos, "a", "b") == ["first", "other"]


async def test_with_and_without_etags_many_updates_of_few_records_are_each_done_once_or_left_out(
    store: Store, zoos: Resource
) -> None:
    ids = ["a", "b", "c"]
    rows = await insert(store, zoos, *ids)
    wanted = [(one, f"{one}{number}", number % 4 == 3) for number in range(16) for one in ids]
    done = await asyncio.gather(
        *(
            update(store, zoos, one, town, version=rows[f"zoos/{one}"].version if with_etag else None)
            for one, town, with_etag in wanted
        )
    )
    assert commits(done) == 1  # with etags it is another text, and by then they are stale
    for (one, town, with_etag), committed in zip(wanted, done, strict=True):
        if with_etag:
            assert committed is None
        else:
            assert committed is not None
            assert (committed.changes[0].name, town_of(zoos, committed)) == (f"zoos/{one}", town)
    for one in ids:
        of_one = [committed for (id_, *_), committed in zip(wanted, done, strict=True) if id_ == one]
        versions = [committed.changes[0].version for committed in of_one if committed]
        assert versions == sorted(set(versions))
    assert await towns(store, zoos, *ids) == ["a14", "b14", "c14"]


async def test_while_a_stranger_holds_a_row_all_its_updates_are_left_out(
    store: Store, zoos: Resource
) -> None:
    await insert(store, zoos, "held", "free")
    async with store.transaction() as transaction:
        await transaction.get(zoos, "zoos/held", lock=True)
        async with asyncio.timeout(5):
            done = await asyncio.gather(
                *(update(store, zoos, one, str(number)) for number in range(3) for one in ("held", "free"))
            )
    assert done[::2] == [None] * 3
    assert [town_of(zoos, committed) for committed in done[1::2]] == ["0", "1", "2"]
    assert await towns(store, zoos, "free", "held") == ["2", ""]


async def test_a_refusal_among_updates_of_one_record_loses_none_and_doubles_none(
    store: Store, zoos: Resource, database: Database
) -> None:
    before = (await insert(store, zoos, "a"))["zoos/a"].version
    await database.psql(f"ALTER TABLE {zoos.table} ADD CONSTRAINT no_ulm CHECK (town <> 'Ulm')")
    asked = ["Bonn", "Ulm", "Kiel"]
    assert await asyncio.gather(*(update(store, zoos, "a", town) for town in asked)) == [None] * 3
    assert await towns(store, zoos, "a") == [""]
    done = await asyncio.gather(update(store, zoos, "a", "Bonn"), update(store, zoos, "a", "Kiel"))
    assert None not in done
    assert await towns(store, zoos, "a") == ["Kiel"]
    versions = [committed.changes[0].version for committed in done if committed]
    assert before < versions[0] < versions[1]


async def test_updates_of_one_record_that_come_one_by_one_wait_for_each_other_and_none_is_left_out(
    store: Store, zoos: Resource
) -> None:
    await insert(store, zoos, "hot", *(f"z{number:02}" for number in range(60)))

    async def later(turns: int, one: str) -> Committed | None:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await update(store, zoos, one, str(turns))

    done = await asyncio.gather(
        *(later(turns, one) for turns in range(60) for one in ("hot", f"z{turns:02}"))
    )
    assert None not in done
    assert commits(done) <= 60
    versions = [committed.changes[0].version for committed in done[::2] if committed]
    assert versions == sorted(set(versions))
    assert await towns(store, zoos, "hot") == ["59"]


async def test_one_that_is_refused_undoes_those_beside_it_and_nobody_is_told_a_lie(
    store: Store, zoos: Resource
) -> None:
    await insert(store, zoos, "a", "b", "c")
    done = await asyncio.gather(
        update(store, zoos, "a"), update(store, zoos, "b", "no text: \0"), update(store, zoos, "c")
    )
    assert done == [None, None, None]
    assert await towns(store, zoos, "a", "b", "c") == ["", "", ""]
    again = await asyncio.gather(update(store, zoos, "a"), update(store, zoos, "c"))
    assert None not in again


async def test_a_row_that_cannot_be_read_is_the_trouble_of_its_own_caller(
    store: Store, zoos: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    await insert(store, zoos, "a", "b")
    row = RowCodec.row

    def refusing(self: RowCodec, record: Any, *, hidden: bool = False) -> Row:
        if record["name"] == "zoos/b":
            raise ValueError("is of no type that is known")
        return row(self, record, hidden=hidden)

    with monkeypatch.context() as patched:
        patched.setattr(RowCodec, "row", refusing)
        first, second = await asyncio.gather(
            update(store, zoos, "a"), update(store, zoos, "b"), return_exceptions=True
        )
    assert isinstance(first, Committed)
    assert isinstance(second, ValueError)
    assert await towns(store, zoos, "a", "b") == ["Ulm", "Ulm"]


async def test_what_comes_while_others_run_is_done_together(
    store: Store, zoos: Resource, database: Database
) -> None:
    ids = [f"z{number:02}" for number in range(60)]
    await insert(store, zoos, *ids)

    async def later(turns: int, one: str) -> Committed | None:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await update(store, zoos, one)

    done = await asyncio.gather(*(later(turns, one) for turns, one in enumerate(ids)))
    assert None not in done
    assert await transactions(database, zoos) <= len(ids) // 2


async def test_a_connection_that_breaks_leaves_the_outcome_unknown(
    store: Store, zoos: Resource, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await insert(store, zoos, "a", "b")
    run_many = together.run_many

    async def broken(*arguments: Any) -> Any:
        await database.psql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return await run_many(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(together, "run_many", broken)
        done = await asyncio.gather(
            update(store, zoos, "a"), update(store, zoos, "b"), return_exceptions=True
        )
    assert all(isinstance(one, UnavailableError) and "not known whether" in str(one) for one in done)
    assert await towns(store, zoos, "a", "b") == ["", ""]
    assert await update(store, zoos, "a") is not None
