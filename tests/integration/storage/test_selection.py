"""Deletion by filter: which rows go, in which order, and what becomes of those below them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.integration.storage.test_deletion import insert, left
from tests.integration.storage.test_transactions import waiting

from entresol.config import Settings
from entresol.errors import ChildrenExistError, InvalidArgumentError
from entresol.records import Records
from entresol.schema.model import Model, Resource
from entresol.storage.rows import RowCodec
from entresol.storage.selection import Selection
from entresol.storage.sql import TableSql
from entresol.storage.store import Store
from entresol.testing.servers import Database


@pytest.fixture
def records(store: Store, zoo: Model, settings: Settings) -> Records:
    return Records(zoo, store, None, settings)


def resource(zoo: Model, type_: str) -> Resource:
    return zoo.resources[f"zoo.example.com/{type_}"]


async def purge(records: Records, wanted: Resource, filter_: str = "*", **options: Any) -> list[int]:
    """Return the count after each batch."""
    return [purged.count async for purged in records.delete_where(wanted, filter_, **options)]


async def test_batches_go_in_the_order_of_names_and_stop_at_the_limit(
    records: Records, store: Store, zoo: Model
) -> None:
    names = [f"keepers/{number}" for number in range(7)]
    await insert(store, zoo, *reversed(names))
    keeper = resource(zoo, "Keeper")
    assert await purge(records, keeper, batch=2, limit=5) == [2, 4, 5]
    assert await left(store, zoo, *names) == set(names[5:])
    assert await purge(records, keeper, limit=0) == []
    assert await purge(records, keeper, batch=2) == [2]
    assert await purge(records, keeper, batch=2) == []


async def test_only_the_children_of_the_parent_that_match_go(
    records: Records, store: Store, zoo: Model
) -> None:
    cages = [f"zoos/{zoo_}/cages/{cage}" for zoo_ in "ab" for cage in (1, 2)]
    await insert(store, zoo, "zoos/a", "zoos/b", *cages)
    await purge(records, resource(zoo, "Cage"), 'name != "zoos/a/cages/2"', parent="zoos/a")
    assert await left(store, zoo, *cages) == set(cages[1:])


@pytest.mark.parametrize(
    ("type_", "filter_", "options", "field"),
    [
        ("Keeper", "nonsense = 1", {}, "filter"),
        ("Keeper", "name = ", {}, "filter"),
        ("Keeper", " ", {}, "filter"),
        ("Keeper", "*", {"parent": "zoos/a"}, "parent"),
        ("Badge", "*", {"parent": "houses/a"}, "parent"),
        ("Keeper", "*", {"expired": True}, "expired"),
    ],
)
async def test_what_cannot_be_meant_names_its_field_and_deletes_nothing(
    records: Records, store: Store, zoo: Model, type_: str, filter_: str, options: Any, field: str
) -> None:
    await insert(store, zoo, "keepers/k", "keepers/k/badges/1")
    with pytest.raises(InvalidArgumentError) as error:
        await purge(records, resource(zoo, type_), filter_, **options)
    assert error.value.violations[0].field == field
    assert await left(store, zoo, "keepers/k", "keepers/k/badges/1") == {"keepers/k", "keepers/k/badges/1"}


@pytest.mark.parametrize("child", ["zoos/b/cages/1", "zoos/b/badges/1"])
async def test_children_end_it_before_the_batch_of_their_parent_unless_forced(
    child: str, records: Records, store: Store, zoo: Model
) -> None:
    places = ["zoos/a", "zoos/a/settings", "zoos/b", "zoos/c"]
    await insert(store, zoo, *places, child)
    with pytest.raises(ChildrenExistError) as error:
        await purge(records, resource(zoo, "Zoo"), batch=1)
    assert error.value.metadata["name"] == "zoos/b"
    assert await left(store, zoo, *places, child) == {"zoos/b", "zoos/c", child}
    assert await purge(records, resource(zoo, "Zoo"), force=True) == [2]
    assert await left(store, zoo, *places, child) == set()


async def test_a_row_that_was_changed_so_that_it_no_longer_matches_stays(
    records: Records, store: Store, zoo: Model, database: Database
) -> None:
    cage = resource(zoo, "Cage")
    code = cage.by_name["code"]
    cages = [f"zoos/a/cages/{number}" for number in range(4)]
    await insert(store, zoo, "zoos/a")
    for name in cages:
        await insert(store, zoo, name, code=f"a{name[-1]}")
    async with store.transaction() as transaction:
        await transaction.update(cage, cage.message_class(name=cages[1], code="b"), [code], version=None)
        task = asyncio.create_task(purge(records, cage, 'code = "a*"', batch=2))
        await waiting(database, 1)
    assert await task == [2, 3]  # the batch is whole: the limit counts what goes
    assert await left(store, zoo, *cages) == {cages[1]}


async def test_soft_deletion_marks_once_and_what_is_past_its_retention_is_removed(
    records: Records, store: Store, zoo: Model, database: Database
) -> None:
    names = ["houses/a", "houses/b", "houses/c"]
    await insert(store, zoo, *names)
    house = resource(zoo, "House")
    assert await purge(records, house) == [3]
    assert await purge(records, house) == []
    assert await left(store, zoo, *names) == set(names)
    assert await purge(records, house, expired=True) == []
    await database.psql("UPDATE houses SET purge_time = now() WHERE name <> 'houses/b'")
    assert await store.count(house, Selection(expired=True)) in (0, 2)  # of a replica, which may be behind
    assert await purge(records, house, expired=True) == [2]
    assert await left(store, zoo, *names) == {"houses/b"}


async def test_without_a_time_of_purge_the_time_of_deletion_says_what_is_past_its_retention(
    records: Records, store: Store, zoo: Model, database: Database
) -> None:
    names = ["houses/a/rooms/1", "houses/a/rooms/2"]
    await insert(store, zoo, "houses/a", *names)
    room = resource(zoo, "Room")
    await purge(records, room)
    retention_s = room.soft_delete_retention_s or 0
    await database.psql(
        f"UPDATE rooms SET delete_time = now() - interval '{retention_s} s' WHERE name = '{names[0]}'"
    )
    assert await purge(records, room, expired=True) == [1]
    assert await left(store, zoo, *names) == {names[1]}


async def test_children_are_marked_with_the_parents_that_a_filter_marks(
    records: Records, store: Store, zoo: Model
) -> None:
    await insert(store, zoo, "houses/a", "houses/a/rooms/1")
    with pytest.raises(ChildrenExistError):
        await purge(records, resource(zoo, "House"))
    assert await purge(records, resource(zoo, "House"), force=True) == [1]
    assert await purge(records, resource(zoo, "Room")) == []


def test_taking_a_batch_reads_on_from_a_name_and_locks(zoo: Model) -> None:
    keeper = resource(zoo, "Keeper")
    statement = Selection.of(keeper, 'name = "k"').take(TableSql(RowCodec(keeper)), "keepers/a", 10)
    assert statement.text == (
        "SELECT name FROM public.keepers WHERE name > $2 AND name = $1 ORDER BY name LIMIT $3 FOR UPDATE"
    )
    assert statement.parameters == ("k", "keepers/a", 10)
