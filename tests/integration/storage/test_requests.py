"""A request that is sent again with its id is answered again and does not act again (AIP-155)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.integration.storage.test_transactions import waiting

from entresol.errors import InvalidArgumentError, NotFoundError
from entresol.storage import requests
from entresol.storage.requests import Claim
from entresol.storage.store import Store
from entresol.testing.servers import Database

CLAIM = Claim("zoo.v1.ZooService.CreateZoo", "ann", "0f4a", b"hash")


async def answer(store: Store, claim: Claim, response: bytes, *, ttl_s: float = 60) -> bytes:
    """Do what a write does: return the reply that is known, or keep this one."""
    async with store.transaction() as transaction:
        known = await requests.claim(transaction, claim, ttl_s=ttl_s)
        if known is None:
            await requests.finish(transaction, claim, response)
    return response if known is None else known


async def test_the_first_reply_is_given_again_an_empty_one_too(store: Store) -> None:
    other = replace(CLAIM, request_id="1234")
    assert await answer(store, CLAIM, b"first") == b"first"
    assert await answer(store, CLAIM, b"second") == b"first"
    assert await answer(store, other, b"") == b""
    assert await answer(store, other, b"second") == b""


@pytest.mark.parametrize("field", ["method", "caller", "request_id"])
async def test_callers_and_methods_have_ids_of_their_own(field: str, store: Store) -> None:
    await answer(store, CLAIM, b"first")
    assert await answer(store, replace(CLAIM, **{field: "other"}), b"own") == b"own"


async def test_an_id_stands_for_one_request_only(store: Store) -> None:
    await answer(store, CLAIM, b"first")
    with pytest.raises(InvalidArgumentError) as error:
        await answer(store, replace(CLAIM, hash=b"other"), b"second")
    assert error.value.violations[0].field == "request_id"


async def test_a_failure_is_not_remembered(store: Store) -> None:
    async def fail() -> None:
        async with store.transaction() as transaction:
            assert await requests.claim(transaction, CLAIM, ttl_s=60) is None
            raise NotFoundError("zoos/a")

    with pytest.raises(NotFoundError):
        await fail()
    assert await answer(store, CLAIM, b"second") == b"second"


EXPIRE = "UPDATE entresol.requests SET expire_time = now()"


async def test_an_expired_reply_makes_way_for_a_new_one(store: Store, database: Database) -> None:
    await answer(store, CLAIM, b"first")
    await database.psql(EXPIRE)
    assert await answer(store, replace(CLAIM, hash=b"other"), b"second") == b"second"


async def test_expired_replies_of_others_are_removed_little_by_little(
    store: Store, database: Database
) -> None:
    for caller in ("ann", "bob", "eve"):
        await answer(store, replace(CLAIM, caller=caller), b"first")
    await database.psql(EXPIRE)
    for caller, left in (("fay", "2"), ("gus", "2"), ("hal", "3")):
        await answer(store, replace(CLAIM, caller=caller), b"first")
        assert await database.psql("SELECT count(*) FROM entresol.requests") == left


async def test_of_two_requests_at_once_the_second_waits_for_the_firsts_reply(
    store: Store, database: Database
) -> None:
    async with store.transaction() as transaction:
        assert await requests.claim(transaction, CLAIM, ttl_s=60) is None
        second = asyncio.create_task(answer(store, CLAIM, b"second"))
        await waiting(database, 1)
        await requests.finish(transaction, CLAIM, b"first")
    assert await second == b"first"


async def test_the_second_acts_when_the_first_fails(store: Store, database: Database) -> None:
    async with store.transaction() as transaction:
        assert await requests.claim(transaction, CLAIM, ttl_s=60) is None
        second = asyncio.create_task(answer(store, CLAIM, b"second"))
        await waiting(database, 1)
        transaction.rollback_only()
    assert await second == b"second"
