"""The way to the server: over TCP or a socket, with a password, in a database of its own, shared by all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.integration.cache.stage import Stage

from entresol.cache.connection import Connection
from entresol.cache.connections import open_connection
from entresol.cache.failure import CacheError
from entresol.embedded.postgres import free_port


def _connection(url: str) -> Connection:
    return open_connection(url, timeout_s=5.0)


async def _ask(url: str, *command: str) -> object:
    connection = _connection(url)
    try:
        return (await connection.execute(command))[0]
    finally:
        await connection.close()


@pytest.fixture
async def locked(stage: Stage) -> AsyncIterator[str]:
    """Give the socket of a server that wants a password, `secret`, and has a port."""
    path = stage.settings.cache_url.removeprefix("unix://").partition("?")[0]
    await stage.redis("CONFIG", "SET", "requirepass", "secret")
    yield path
    await _ask(f"unix://:secret@{path}", "CONFIG", "SET", "requirepass", "")


async def test_a_password_and_a_database_are_taken_from_the_url(locked: str) -> None:
    client = await _ask(f"unix://:secret@{locked}?db=3", "CLIENT", "INFO")
    assert isinstance(client, bytes)
    assert b" db=3 " in client
    assert b" name=entresol " in client


@pytest.mark.parametrize("password", ["", ":wrong@"])
async def test_without_the_password_nothing_is_answered(locked: str, password: str) -> None:
    with pytest.raises(CacheError):
        await _ask(f"unix://{password}{locked}", "PING")


async def test_a_server_is_reached_over_tcp(stage: Stage) -> None:
    port = free_port()
    await stage.redis("CONFIG", "SET", "port", port)
    try:
        assert await _ask(f"redis://127.0.0.1:{port}/2", "PING") == b"PONG"
    finally:
        await stage.redis("CONFIG", "SET", "port", 0)


async def test_callers_that_come_first_share_one_connection(stage: Stage) -> None:
    connection = _connection(stage.settings.cache_url)
    ids = await asyncio.gather(*(connection.execute(("CLIENT", "ID")) for _ in range(20)))
    assert len({tuple(reply) for reply in ids}) == 1
    await connection.close()


async def test_a_connection_that_was_cut_is_made_again(stage: Stage) -> None:
    connection = _connection(stage.settings.cache_url)
    (number,) = await connection.execute(("CLIENT", "ID"))
    await stage.redis("CLIENT", "KILL", "ID", number)
    answers = []
    while b"PONG" not in answers:  # the first may meet the end of the old connection
        try:
            answers += await connection.execute(("PING",))
        except CacheError as error:
            answers.append(error)
    assert len(answers) <= 2
    await connection.close()


async def test_a_caller_that_gives_up_while_connecting_leaves_the_connection_to_the_others(
    stage: Stage,
) -> None:
    connection = _connection(stage.settings.cache_url)
    impatient = asyncio.create_task(connection.execute(("PING",)))
    patient = asyncio.create_task(connection.execute(("PING",)))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == [b"PONG"]
    await connection.close()


async def test_closing_while_connecting_leaves_nothing_behind(stage: Stage) -> None:
    connection = _connection(stage.settings.cache_url)
    asking = asyncio.create_task(connection.execute(("PING",)))
    await asyncio.sleep(0)
    await connection.close()
    with pytest.raises(CacheError, match="closed"):
        await asking


async def test_two_stages_of_one_server_do_not_meet(stage: Stage) -> None:
    other = stage.another(cache_prefix="other")
    assert await stage.put(await stage.write("a", "one")) == "ok"
    assert await stage.put(await stage.write("a", "two"), other) == "nometa"
    await other.close()
