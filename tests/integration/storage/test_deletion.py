"""Delete and Undelete: children, singletons, references, and records that are only marked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.integration.storage.test_transactions import waiting

from entresol.errors import AlreadyExistsError, ChildrenExistError, NotFoundError, StaleEtagError
from entresol.schema.model import Model, Resource
from entresol.storage.store import Store
from entresol.testing.servers import Database

PATTERNS = {
    "zoos": "Zoo",
    "cages": "Cage",
    "animals": "Animal",
    "keepers": "Keeper",
    "badges": "Badge",
    "houses": "House",
    "rooms": "Room",
    "signs": "Sign",
}


def type_of(name: str) -> str:
    return "Settings" if name.endswith("/settings") else PATTERNS[name.split("/")[-2]]


async def insert(store: Store, zoo: Model, *names: str, **fields: Any) -> None:
    async with store.transaction() as transaction:
        for name in names:
            resource = zoo.resources[f"zoo.example.com/{type_of(name)}"]
            await transaction.insert(resource, [resource.message_class(name=name, **fields)])


async def left(store: Store, zoo: Model, *names: str) -> set[str]:
    """Return which of these records exist, marked or not."""
    found: set[str] = set()
    for name in names:
        resource = zoo.resources[f"zoo.example.com/{type_of(name)}"]
        found |= (await store.get(resource, [name], primary=True)).rows.keys()
    return found


@pytest.fixture
def place(zoo: Model) -> Resource:
    return zoo.resources["zoo.example.com/Zoo"]


@pytest.fixture
def house(zoo: Model) -> Resource:
    return zoo.resources["zoo.example.com/House"]


async def test_a_record_without_children_goes_and_its_change_says_so(
    store: Store, zoo: Model, place: Resource
) -> None:
    await insert(store, zoo, "zoos/a")
    async with store.transaction() as transaction:
        row = await transaction.delete(place, "zoos/a", version=None, force=False)
    (change,) = transaction.changes
    assert (change.name, change.version, change.row) == ("zoos/a", row.version, None)
    assert await left(store, zoo, "zoos/a") == set()


@pytest.mark.parametrize("child", ["zoos/a/cages/1", "zoos/a/badges/1"])
async def test_children_keep_their_parent_unless_forced(
    child: str, store: Store, zoo: Model, place: Resource
) -> None:
    await insert(store, zoo, "zoos/a", child)
    with pytest.raises(ChildrenExistError) as error:
        async with store.transaction() as transaction:
            await transaction.delete(place, "zoos/a", version=None, force=False)
    assert error.value.metadata["name"] == "zoos/a"
    async with store.transaction() as transaction:
        await transaction.delete(place, "zoos/a", version=None, force=True)
    assert [change.name for change in transaction.changes] == [child, "zoos/a"]
    assert await left(store, zoo, "zoos/a", child) == set()


async def test_a_forced_delete_takes_all_that_stands_below_and_nothing_beside(
    store: Store, zoo: Model, place: Resource
) -> None:
    below = ["zoos/a/settings", "zoos/a/cages/1", "zoos/a/cages/2", "zoos/a/cages/1/animals/x"]
    beside = ["zoos/b", "zoos/b/cages/1", "zoos/b/cages/1/animals/x", "keepers/k", "keepers/k/badges/1"]
    await insert(store, zoo, "zoos/a", *below, *beside)
    async with store.transaction() as transaction:
        await transaction.delete(place, "zoos/a", version=None, force=True)
    assert {change.name for change in transaction.changes} == {"zoos/a", *below}
    assert await left(store, zoo, "zoos/a", *below, *beside) == set(beside)


async def test_a_singleton_goes_with_its_parent_and_does_not_keep_it(
    store: Store, zoo: Model, place: Resource
) -> None:
    await insert(store, zoo, "zoos/a", "zoos/a/settings")
    async with store.transaction() as transaction:
        await transaction.delete(place, "zoos/a", version=None, force=False)
    assert [change.name for change in transaction.changes] == ["zoos/a/settings", "zoos/a"]


async def test_a_stale_version_deletes_no_children_either(store: Store, zoo: Model, place: Resource) -> None:
    await insert(store, zoo, "zoos/a", "zoos/a/cages/1")
    with pytest.raises(StaleEtagError):
        async with store.transaction() as transaction:
            await transaction.delete(place, "zoos/a", version=0, force=True)
    assert await left(store, zoo, "zoos/a", "zoos/a/cages/1") == {"zoos/a", "zoos/a/cages/1"}


async def test_a_reference_keeps_what_it_refers_to_or_is_cleared(store: Store, zoo: Model) -> None:
    keeper, animal = zoo.resources["zoo.example.com/Keeper"], zoo.resources["zoo.example.com/Animal"]
    name = "zoos/a/cages/1/animals/x"
    await insert(store, zoo, "keepers/k", "keepers/p", "zoos/a", "zoos/a/cages/1")
    await insert(store, zoo, name, keeper="keepers/k", patron="keepers/p")
    with pytest.raises(ChildrenExistError, match="animals"):
        async with store.transaction() as transaction:
            await transaction.delete(keeper, "keepers/k", version=None, force=True)
    async with store.transaction() as transaction:
        await transaction.delete(keeper, "keepers/p", version=None, force=False)
    row = (await store.get(animal, [name], primary=True)).rows[name]
    message: Any = animal.message_class.FromString(row.message)
    assert (message.keeper, message.HasField("patron")) == ("keepers/k", False)


async def test_a_child_that_comes_while_its_parent_goes_finds_no_parent(
    store: Store, zoo: Model, place: Resource, database: Database
) -> None:
    """Also below a parent of one of several types, where no foreign key watches."""
    for child in ("cages/2", "badges/2"):
        await insert(store, zoo, "zoos/a", "zoos/a/cages/1")
        async with store.transaction() as transaction:
            await transaction.delete(place, "zoos/a", version=None, force=True)
            task = asyncio.create_task(insert(store, zoo, f"zoos/a/{child}"))
            await waiting(database, 1)
        with pytest.raises(NotFoundError):
            await task


async def test_a_marked_record_stays_readable_and_is_marked_once(
    store: Store, zoo: Model, house: Resource
) -> None:
    await insert(store, zoo, "houses/a")
    async with store.transaction() as transaction:
        row = await transaction.delete(house, "houses/a", version=None, force=False)
    (change,) = transaction.changes
    assert change.row == row == (await store.get(house, ["houses/a"], primary=True)).rows["houses/a"]
    message: Any = house.message_class.FromString(row.message)
    assert message.purge_time.seconds - message.delete_time.seconds == 86400
    assert message.update_time == message.delete_time
    with pytest.raises(NotFoundError):
        async with store.transaction() as transaction:
            await transaction.delete(house, "houses/a", version=None, force=False)
    with pytest.raises(AlreadyExistsError):
        await insert(store, zoo, "houses/a")


async def test_undelete_brings_back_what_was_and_refuses_what_is_there(
    store: Store, zoo: Model, house: Resource
) -> None:
    await insert(store, zoo, "houses/a")
    async with store.transaction() as transaction:
        with pytest.raises(AlreadyExistsError):
            await transaction.undelete(house, "houses/a", version=None)
        deleted = await transaction.delete(house, "houses/a", version=None, force=False)
        with pytest.raises(StaleEtagError):
            await transaction.undelete(house, "houses/a", version=deleted.version - 1)
        row = await transaction.undelete(house, "houses/a", version=deleted.version)
    message: Any = house.message_class.FromString(row.message)
    assert not message.HasField("delete_time")
    assert not message.HasField("purge_time")


async def test_children_are_marked_with_their_parent_and_come_back_with_it(
    store: Store, zoo: Model, house: Resource
) -> None:
    room = zoo.resources["zoo.example.com/Room"]
    names = ["houses/a/rooms/1", "houses/a/rooms/2", "houses/a/signs/1"]
    await insert(store, zoo, "houses/a", *names)
    with pytest.raises(ChildrenExistError):
        async with store.transaction() as transaction:
            await transaction.delete(house, "houses/a", version=None, force=False)
    async with store.transaction() as transaction:
        await transaction.delete(room, "houses/a/rooms/2", version=None, force=False)
    async with store.transaction() as transaction:
        await transaction.delete(house, "houses/a", version=None, force=True)
    assert [change.name for change in transaction.changes] == ["houses/a/rooms/1", "houses/a"]
    assert await left(store, zoo, "houses/a", *names) == {"houses/a", *names}
    async with store.transaction() as transaction:
        await transaction.undelete(house, "houses/a", version=None)
    assert [change.name for change in transaction.changes] == ["houses/a/rooms/1", "houses/a"]
    rows = (await store.get(room, names, primary=True)).rows
    marked = {
        name: room.message_class.FromString(row.message).HasField("delete_time") for name, row in rows.items()
    }
    assert marked == {"houses/a/rooms/1": False, "houses/a/rooms/2": True}
