"""Servers of their own, because races pause replicas and hold up commits, and a stage on them for each test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager

import asyncpg
import pytest
from tests.integration.cache.notes import Board, notes_model
from tests.integration.cache.stage import SCHEMA, Stage

from entresol.cache.scripts import Scripts
from entresol.embedded import EmbeddedServers
from entresol.testing.platforms import make_tables
from entresol.testing.plugin import run
from entresol.testing.servers import Database, Databases

OpenBoard = Callable[..., AbstractAsyncContextManager[Board]]
OpenStage = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture(scope="package")
def own_servers() -> Iterator[EmbeddedServers]:
    """Give servers to harm, with one replica; a test leaves them running."""
    started = run(EmbeddedServers.start(replicas=1))
    yield started
    run(started.stop())


async def migrate_items(url: str) -> None:
    """Make the table of items in an empty database."""
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()


@pytest.fixture(scope="package")
def own_databases(own_servers: EmbeddedServers) -> Databases:
    """Give the maker of databases on these servers."""
    return Databases(own_servers)


@pytest.fixture(scope="package")
def own_cache_numbers() -> Iterator[int]:
    """Give Redis's databases in turn."""
    return itertools.cycle(range(16))


@pytest.fixture
def items(own_databases: Databases) -> Iterator[Database]:
    """Give a database with the table of items, on the replica too."""
    made = run(own_databases.create(migrate_items))
    yield made
    run(own_databases.drop(made))


@pytest.fixture
def items_cache_url(own_servers: EmbeddedServers, own_cache_numbers: Iterator[int]) -> str:
    """Give an empty database of Redis."""
    number = next(own_cache_numbers)
    run(own_servers.redis.command("FLUSHDB", database=number))
    return own_servers.redis.url(number)


@pytest.fixture
def open_stage(items: Database, items_cache_url: str) -> OpenStage:
    """Give what opens a stage, with other scripts if need be."""

    def open_one(scripts: Scripts | None = None) -> AbstractAsyncContextManager[Stage]:
        return Stage.open(items, items_cache_url, scripts)

    return open_one


@pytest.fixture
async def stage(open_stage: OpenStage) -> AsyncIterator[Stage]:
    """Give a stage with the scripts as shipped."""
    async with open_stage() as opened:
        yield opened


async def _migrate_notes(url: str) -> None:
    await make_tables(url, notes_model())


@pytest.fixture
def notes(own_databases: Databases) -> Iterator[Database]:
    """Give a database with the tables of notes and words, on the replica too."""
    made = run(own_databases.create(_migrate_notes))
    yield made
    run(own_databases.drop(made))


@pytest.fixture
def open_board(notes: Database, items_cache_url: str) -> OpenBoard:
    """Give what opens a board, with other scripts if need be."""

    def open_one(
        scripts: Scripts | None = None, *, replicas: bool = False
    ) -> AbstractAsyncContextManager[Board]:
        return Board.open(notes, items_cache_url, scripts, replicas=replicas)

    return open_one


@pytest.fixture
async def board(open_board: OpenBoard) -> AsyncIterator[Board]:
    """Give a board with a relay."""
    async with open_board() as opened, opened.relaying():
        yield opened
