"""Writes: what they return, what they refuse, and what is known when they are over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from entresol.errors import (
    AlreadyExistsError,
    ConflictError,
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    ReferenceMissingError,
    StaleEtagError,
)
from entresol.schema.model import Model, Resource
from entresol.storage.store import Row, Store, Transaction
from entresol.testing.servers import Database


@pytest.fixture
def house(zoo: Model) -> Resource:
    return zoo.resources["zoo.example.com/House"]


async def insert(store: Store, resource: Resource, *names: str, **fields: Any) -> list[Row]:
    async with store.transaction() as transaction:
        return await transaction.insert(
            resource, [resource.message_class(name=name, **fields) for name in names]
        )


async def attempt(
    store: Store, work: Callable[[Transaction], Awaitable[None]], *, timeout_s: float = 10
) -> tuple[Transaction, Exception | None]:
    """Run `work` in a transaction; return the transaction as it is afterwards, and what was raised."""
    begun: Any = None
    try:
        async with store.transaction(timeout_s=timeout_s) as begun:
            await work(begun)
    except Exception as error:
        return begun, error
    return begun, None


async def test_a_write_returns_what_a_read_finds_and_notes_its_change(store: Store, house: Resource) -> None:
    async with store.transaction() as transaction:
        first, second = await transaction.insert(
            house, [house.message_class(name="houses/b"), house.message_class(name="houses/a")]
        )
        assert not transaction.committed
    assert transaction.committed
    assert [change.row for change in transaction.changes] == [first, second]
    assert first.name == "houses/b"
    assert first.version < second.version
    assert all(change.version == change.row.version for change in transaction.changes if change.row)
    read = await store.get(house, ["houses/a", "houses/b", "houses/c"], primary=True)
    assert read.rows == {"houses/a": second, "houses/b": first}
    assert read.position is None
    assert str(read.source) == "primary"


async def test_positions_lie_between_the_commits_before_and_after(store: Store, house: Resource) -> None:
    positions = []
    for name in ("houses/a", "houses/b", "houses/c"):
        async with store.transaction() as transaction:
            await transaction.insert(house, [house.message_class(name=name)])
        positions += [transaction.changes[0].position, transaction.commit_lsn]
    assert positions == sorted(set(positions))


async def test_the_position_after_a_commit_is_enough_to_see_it_on_a_replica(
    store: Store, house: Resource, database: Database
) -> None:
    for number in range(20):
        async with store.transaction() as transaction:
            await transaction.insert(house, [house.message_class(name=f"houses/h{number}")])
        await database.servers.primary.position()  # where a page of the log begins, a replica stops before it
        replica = database.servers.replicas[0]
        await replica.wait_for(transaction.commit_lsn)
        count = await replica.psql("SELECT count(*) FROM houses", database=database.name)
        assert int(count) == number + 1


async def test_an_update_changes_the_fields_it_is_given_and_no_others(store: Store, zoo: Model) -> None:
    specimen = zoo.resources["zoo.example.com/Specimen"]
    await insert(store, specimen, "specimens/a", string_field="old", int32_field=1, secret="kept")
    message = specimen.message_class(name="specimens/a", string_field="new", int32_field=2)
    async with store.transaction() as transaction:
        row = await transaction.update(specimen, message, [specimen.by_name["string_field"]], version=None)
        assert await transaction.get(specimen, "specimens/a") == row
    found: Any = specimen.message_class.FromString(row.message)
    assert (found.string_field, found.int32_field) == ("new", 1)


async def test_an_update_of_nothing_still_makes_a_new_version(store: Store, house: Resource) -> None:
    (before,) = await insert(store, house, "houses/a")
    async with store.transaction() as transaction:
        after = await transaction.update(house, house.message_class(name="houses/a"), [], version=None)
    assert after.version > before.version
    old: Any = house.message_class.FromString(before.message)
    new: Any = house.message_class.FromString(after.message)
    assert new.update_time.ToDatetime() > old.update_time.ToDatetime()


async def test_a_version_that_is_no_longer_current_is_refused(store: Store, house: Resource) -> None:
    (row,) = await insert(store, house, "houses/a")
    message = house.message_class(name="houses/a")
    async with store.transaction() as transaction:
        await transaction.update(house, message, [], version=row.version)
    with pytest.raises(StaleEtagError):
        async with store.transaction() as transaction:
            await transaction.update(house, message, [], version=row.version)
    with pytest.raises(StaleEtagError):
        async with store.transaction() as transaction:
            await transaction.delete(house, "houses/a", version=row.version, force=False)
    assert not transaction.committed


async def test_what_is_missing_is_not_found(store: Store, house: Resource) -> None:
    async with store.transaction() as transaction:
        assert await transaction.get(house, "houses/a") is None
        with pytest.raises(NotFoundError):
            await transaction.update(house, house.message_class(name="houses/a"), [], version=1)
        with pytest.raises(NotFoundError):
            await transaction.delete(house, "houses/a", version=None, force=False)
        with pytest.raises(NotFoundError):
            await transaction.undelete(house, "houses/a", version=None)


async def test_a_name_and_a_unique_field_are_taken_once(store: Store, zoo: Model) -> None:
    place, cage = zoo.resources["zoo.example.com/Zoo"], zoo.resources["zoo.example.com/Cage"]
    await insert(store, place, "zoos/a")
    await insert(store, cage, "zoos/a/cages/1", code="7")
    with pytest.raises(AlreadyExistsError) as error:
        await insert(store, cage, "zoos/a/cages/2", "zoos/a/cages/1")
    assert error.value.metadata == {"name": "zoos/a/cages/1"}
    with pytest.raises(AlreadyExistsError, match="another cage already has this code") as error:
        await insert(store, cage, "zoos/a/cages/2", code="7")
    assert error.value.metadata == {"fields": "code"}
    assert (await store.get(cage, ["zoos/a/cages/2"], primary=True)).rows == {}
    await insert(store, cage, "zoos/a/cages/3", "zoos/a/cages/4")  # none has a code


@pytest.mark.parametrize("name", ["zoos/none/cages/1", "zoos/none/badges/1", "keepers/none/badges/1"])
async def test_a_missing_parent_is_not_found(name: str, store: Store, zoo: Model) -> None:
    resource = zoo.resources[f"zoo.example.com/{'Cage' if 'cages' in name else 'Badge'}"]
    with pytest.raises(NotFoundError) as error:
        await insert(store, resource, name)
    assert error.value.metadata["name"] == name.rsplit("/", 2)[0]


async def test_a_reference_to_nothing_is_refused_and_an_empty_one_is_not(store: Store, zoo: Model) -> None:
    for type_, name in (("Zoo", "zoos/a"), ("Cage", "zoos/a/cages/1")):
        await insert(store, zoo.resources[f"zoo.example.com/{type_}"], name)
    animal = zoo.resources["zoo.example.com/Animal"]
    for field in ("keeper", "patron"):
        with pytest.raises(ReferenceMissingError) as error:
            await insert(store, animal, "zoos/a/cages/1/animals/1", **{field: "keepers/none"})
        assert error.value.metadata == {"field": field, "name": "keepers/none"}
    (row,) = await insert(store, animal, "zoos/a/cages/1/animals/1", keeper="", patron="")
    assert animal.message_class.FromString(row.message) == animal.message_class(name=row.name)


async def test_a_rule_of_the_database_that_is_broken_names_the_oneof(store: Store, zoo: Model) -> None:
    specimen = zoo.resources["zoo.example.com/Specimen"]
    await insert(store, specimen, "specimens/a", centimetres=1)
    with pytest.raises(InvalidArgumentError) as error:
        async with store.transaction() as transaction:
            await transaction.execute("UPDATE exotic.specimens SET words = 'x'")
    assert error.value.violations[0].field == "size"


async def test_a_block_that_raises_changes_nothing(store: Store, house: Resource) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.insert(house, [house.message_class(name="houses/a")])
        raise ZeroDivisionError

    transaction, error = await attempt(store, work)
    assert isinstance(error, ZeroDivisionError)
    assert not transaction.committed
    assert (await store.get(house, ["houses/a"], primary=True)).rows == {}
    with pytest.raises(RuntimeError, match="has ended"):
        await transaction.get(house, "houses/a")


async def test_a_failure_that_the_block_hides_is_not_taken_for_a_commit(
    store: Store, house: Resource
) -> None:
    await insert(store, house, "houses/a")

    async def work(transaction: Transaction) -> None:
        await transaction.insert(house, [house.message_class(name="houses/b")])
        with pytest.raises(AlreadyExistsError):
            await transaction.insert(house, [house.message_class(name="houses/a")])

    transaction, error = await attempt(store, work)
    assert "transaction is aborted" in str(error)
    assert not transaction.committed
    assert (await store.get(house, ["houses/b"], primary=True)).rows == {}


async def test_what_is_only_validated_is_checked_to_the_end_and_undone(store: Store, house: Resource) -> None:
    async with store.transaction() as transaction:
        (row,) = await transaction.insert(house, [house.message_class(name="houses/a")])
        transaction.rollback_only()
    assert row.name == "houses/a"
    assert not transaction.committed
    assert (await store.get(house, ["houses/a"], primary=True)).rows == {}


async def test_a_constraint_that_is_checked_late_fails_the_commit_and_the_validation(
    store: Store, house: Resource, database: Database
) -> None:
    await database.psql(
        "ALTER TABLE houses ADD COLUMN other text REFERENCES houses (name) DEFERRABLE INITIALLY DEFERRED"
    )

    async def work(transaction: Transaction) -> None:
        await transaction.insert(house, [house.message_class(name="houses/a")])
        await transaction.execute("UPDATE houses SET other = 'houses/none'")

    async def validated(transaction: Transaction) -> None:
        await work(transaction)
        transaction.rollback_only()

    for call in (work, validated):
        transaction, error = await attempt(store, call)
        assert isinstance(error, ReferenceMissingError)
        assert not transaction.committed


async def test_a_locked_record_is_kept_from_other_writers_until_the_end(
    store: Store, house: Resource, database: Database
) -> None:
    await insert(store, house, "houses/a")
    message = house.message_class(name="houses/a")

    async def write() -> None:
        async with store.transaction() as other:
            await other.update(house, message, [], version=None)

    async with store.transaction() as transaction:
        locked = await transaction.get(house, "houses/a", lock=True)
        task = asyncio.create_task(write())
        await waiting(database, 1)
        assert not task.done()
        assert locked == await transaction.get(house, "houses/a")
    await task


async def test_a_deadlock_is_a_conflict_for_one_of_the_two(
    store: Store, house: Resource, database: Database
) -> None:
    await insert(store, house, "houses/a", "houses/b")
    holding = asyncio.Barrier(2)

    async def write(first: str, second: str) -> str:
        try:
            async with store.transaction() as transaction:
                await transaction.execute("SET LOCAL deadlock_timeout = '10ms'")
                await transaction.update(house, house.message_class(name=first), [], version=None)
                await holding.wait()
                await transaction.update(house, house.message_class(name=second), [], version=None)
        except ConflictError:
            return "conflict"
        return "committed"

    outcomes = await asyncio.gather(write("houses/a", "houses/b"), write("houses/b", "houses/a"))
    assert sorted(outcomes) == ["committed", "conflict"]


async def test_a_deadline_ends_the_statement_on_the_server_and_the_transaction(
    store: Store, house: Resource, database: Database
) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.insert(house, [house.message_class(name="houses/a")])
        await transaction.fetch("SELECT pg_sleep(30)")

    transaction, error = await attempt(store, work, timeout_s=0.2)
    assert isinstance(error, DeadlineExceededError)
    assert not transaction.committed
    await insert(store, house, "houses/a")  # waits for the first one's row to be gone


async def test_what_custom_sql_sets_in_its_session_does_not_reach_the_next_call(
    store: Store, house: Resource
) -> None:
    async with store.transaction() as transaction:
        await transaction.execute("SET search_path = pg_catalog")
        assert (await transaction.fetch("SHOW search_path"))[0][0] == "pg_catalog"
    async with store.transaction() as transaction:
        assert (await transaction.fetch("SHOW search_path"))[0][0] == '"$user", public'


async def waiting(database: Database, count: int) -> None:
    """Return when this many statements wait for a lock in the test's database."""
    sql = f"""
        DO $$ BEGIN
            WHILE (SELECT count(*) FROM pg_stat_activity
                   WHERE datname = '{database.name}' AND wait_event_type = 'Lock') < {count}
            LOOP PERFORM pg_sleep(0.005), pg_stat_clear_snapshot(); END LOOP;
        END $$"""
    await database.psql(sql)
