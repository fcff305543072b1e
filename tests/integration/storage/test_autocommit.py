"""Writes of one statement, which commit themselves: the same promises with half the round trips."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from entresol.errors import DeletedError, NotFoundError, StaleEtagError, UnavailableError
from entresol.schema.model import Model, Resource
from entresol.storage.store import Row, Store, Transaction
from entresol.testing.servers import Database


@pytest.fixture
def house(zoo: Model) -> Resource:
    return zoo.resources["zoo.example.com/House"]


@asynccontextmanager
async def alone(store: Store) -> AsyncIterator[Transaction]:
    async with store.transaction(autocommit=True) as transaction:
        yield transaction


async def insert(store: Store, resource: Resource, name: str) -> Row:
    async with alone(store) as transaction:
        (row,) = await transaction.insert(resource, [resource.message_class(name=name)])
    return row


async def test_it_is_committed_and_its_position_is_enough_to_see_it(
    store: Store, house: Resource, database: Database
) -> None:
    async with alone(store) as transaction:
        (row,) = await transaction.insert(house, [house.message_class(name="houses/a")])
    assert transaction.committed
    assert [change.row for change in transaction.changes] == [row]
    assert transaction.changes[0].position <= transaction.commit_lsn
    read = await store.get(house, ["houses/a"], at_least=transaction.commit_lsn)
    assert read.rows == {"houses/a": row}


async def test_what_is_refused_leaves_nothing(store: Store, house: Resource) -> None:
    row = await insert(store, house, "houses/a")
    change = house.message_class(name="houses/a")
    with pytest.raises(StaleEtagError):
        async with alone(store) as transaction:
            await transaction.update(house, change, (), version=row.version + 1)
    with pytest.raises(NotFoundError):
        async with alone(store) as transaction:
            await transaction.update(house, house.message_class(name="houses/b"), (), version=None)
    read = await store.get(house, ["houses/a", "houses/b"], primary=True)
    assert read.rows == {"houses/a": row}


async def test_a_record_that_is_marked_as_deleted_is_left_alone(store: Store, zoo: Model) -> None:
    marked = next(
        resource for resource in zoo.resources.values() if resource.soft_delete and not resource.parents
    )
    name = f"{marked.plural}/a"
    await insert(store, marked, name)
    async with store.transaction() as transaction:
        deleted = await transaction.delete(marked, name, version=None, force=False)
    with pytest.raises(DeletedError):
        async with alone(store) as transaction:
            await transaction.update(marked, marked.message_class(name=name), (), version=None, live=True)
    assert (await store.get(marked, [name], primary=True)).rows == {name: deleted}


async def test_a_connection_that_breaks_leaves_the_outcome_unknown(
    store: Store, house: Resource, database: Database
) -> None:
    row = await insert(store, house, "houses/a")

    async def update_on_a_connection_that_breaks() -> None:
        async with alone(store) as transaction:
            await database.psql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            await transaction.update(house, house.message_class(name="houses/a"), (), version=None)

    with pytest.raises(UnavailableError, match="not known whether"):
        await update_on_a_connection_that_breaks()
    assert (await store.get(house, ["houses/a"], primary=True)).rows == {"houses/a": row}
