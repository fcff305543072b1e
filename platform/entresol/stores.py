"""The database and the cache of one process: opened in order, waited for where they may come late, and told of."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, TypeVar

from entresol.background import kept_running
from entresol.cache.entries import Entries
from entresol.cache.near import Near
from entresol.cache.server import check_server
from entresol.cache.tail import Tail
from entresol.config import Settings
from entresol.errors import ConfigurationError, StoreUnavailableError
from entresol.life import Facts, Lack, Life
from entresol.records import Records
from entresol.redaction import redacted
from entresol.schema.model import Model
from entresol.storage.catalog import read_system_lacks
from entresol.storage.check import check_schema
from entresol.storage.plan import command as plan_command
from entresol.storage.pools import Pools, ServerState
from entresol.storage.sqlstate import DRIVER_ERRORS
from entresol.storage.store import Store

log = logging.getLogger(__name__)

Result = TypeVar("Result")
CHECK_S = 30.0
_TRY_AGAIN_S = 0.5
_SAY_AGAIN_S = 5.0
_LOOK_S = 1.0


@asynccontextmanager
async def open_records(settings: Settings, model: Model) -> AsyncIterator[Records]:
    """Give the records of the settings' database and cache, for a command that serves nobody.

    Raises:
        ConfigurationError: a server or a setting cannot work; the text says what to change.
    """
    async with AsyncExitStack() as stack:
        _, records = await open_stores(settings, model, stack)
        yield records


async def open_stores(
    settings: Settings,
    model: Model,
    stack: AsyncExitStack,
    life: Life | None = None,
    *,
    near: bool = False,
) -> tuple[Pools, Records]:
    """Open the database and the cache for as long as `stack`; `life` hears what is waited for, and then of them.

    Raises:
        ConfigurationError, StoreUnavailableError: as above, once `start_wait_s` is over.
    """
    waiting = _Waiting(settings, life or Life())
    pools = await waiting.until(lambda: Pools.open(settings), StoreUnavailableError)
    stack.push_async_callback(pools.close)
    # Whatever the look meets in the middle of a migration: it is over soon.
    refusals = (StoreUnavailableError, ConfigurationError, *DRIVER_ERRORS)
    await waiting.until(lambda: _check_database(pools, model, settings.migrations), *refusals)
    entries = await _open_cache(settings, stack)
    if entries is not None and any(item.cache.staleness_s_max for item in model.resources.values()):
        await stack.enter_async_context(kept_running(entries.lag.run(), "entresol relay lag"))
    if entries is not None:
        await stack.enter_async_context(kept_running(_look_for(entries), "entresol cache"))
    copies = await _open_near(settings, entries, stack) if near else None
    store = Store(pools, model)
    await stack.enter_async_context(store.coupling.running())
    records = Records(model, store, entries, settings, copies)
    stack.push_async_callback(records.close)
    if life is not None:
        _tell(life, pools, entries, copies)
    return pools, records


class _Waiting:
    """Tries again what a store refuses, until `start_wait_s` is over, and says every few seconds what it waits for."""

    def __init__(self, settings: Settings, life: Life) -> None:
        self._life = life
        self._end_s = time.monotonic() + settings.start_wait_s
        self._said_s = 0.0

    async def until(self, ask: Callable[[], Coroutine[Any, Any, Result]], *errors: type[Exception]) -> Result:
        while True:
            try:
                result = await ask()
            except errors as error:
                now_s = time.monotonic()
                if now_s + _TRY_AGAIN_S > self._end_s:
                    raise
                reason = redacted(str(error) or repr(error))
                self._life.wait_for("database", "", reason)
                if now_s - self._said_s > _SAY_AGAIN_S:
                    self._said_s = now_s
                    log.warning("waiting, for %.0f s at most: %s", self._end_s - now_s, reason)
                await asyncio.sleep(_TRY_AGAIN_S)
            else:
                self._life.waited("database")
                return result


def _tell(life: Life, pools: Pools, entries: Entries | None, copies: Near | None) -> None:
    """Let the stores tell of themselves."""

    def lacks() -> Iterable[Lack]:
        return lacking(pools, entries)

    def database() -> Facts:
        return {"servers": [state.facts() for state in pools.servers()]}

    life.depend(lacks)
    life.add("database", database)
    if entries is not None:
        life.add("cache", entries.facts)
    if copies is not None:
        life.add("copies", copies.facts)


def lacking(pools: Pools, entries: Entries | None) -> list[Lack]:
    """Return which stores are away, or too far behind. They stop a server only where none can be reached.

    Without Redis the database answers, without the primary replicas do, and without a database hits are still found:
    an outage that all servers share must not make them all leave their balancer at once.
    """
    cache = None if entries is None else entries.connection.absence
    is_cached = cache is not None and not cache.reason
    is_blocked = not is_cached and all(state.reason for state in pools.servers() if state.role != "queue")
    lacks = [
        Lack(state.role, state.address, *absent, is_blocked)
        for state in pools.servers()
        if (absent := _absent(state, pools.settings))
    ]
    if cache is not None and cache.reason and entries is not None:
        lacks.append(Lack("cache", entries.connection.address, cache.reason, cache.since_s, is_blocked))
    return lacks


def _absent(state: ServerState, settings: Settings) -> tuple[str, float] | None:
    """Return why a server answers nothing, and since when; None if it does."""
    if state.reason:
        return redacted(state.reason), state.since_s
    if state.live:
        return None
    beyond_s = state.lag_s - settings.replica_lag_max_s
    return (
        f"it is {state.lag_s:.1f} s behind, and {settings.replica_lag_max_s:g} s are allowed",
        time.time() - beyond_s,
    )


async def _check_database(pools: Pools, model: Model, migrations: str) -> None:
    async with asyncio.timeout(CHECK_S):
        try:
            async with pools.write() as connection:
                lacks = await check_schema(connection, model)
        except (
            StoreUnavailableError
        ):  # replicas have the same tables, and reads go on while the primary is away
            async with pools.read() as lease:
                lacks = await check_schema(lease.connection, model)
    remedies = []
    if lacks.missing:
        remedies.append(
            f"run `entresol migrate`, and before it `{plan_command(model, migrations)}` if no migration makes this yet"
        )
    if lacks.refused:
        remedies.append("`entresol plan` tells the steps to what it writes no migration for")
    if lacks:
        raise ConfigurationError("; ".join([f"the database is not ready: {lacks}", *remedies]))
    with suppress(StoreUnavailableError):  # jobs wait for it in the outbox
        async with asyncio.timeout(CHECK_S), pools.queue.write() as connection:
            if await read_system_lacks(connection):
                raise ConfigurationError(
                    "the cluster of the queue is not ready: run `entresol migrate` with ENTRESOL_DATABASE_JOBS set"
                )


async def _open_cache(settings: Settings, stack: AsyncExitStack) -> Entries | None:
    if not settings.cache_url:
        return None
    entries = Entries.open(settings)
    stack.push_async_callback(entries.close)
    for warning in await check_server(entries.connection, settings.cache_partitions):
        log.warning("%s", warning)
    return entries


async def _look_for(entries: Entries) -> None:
    """Ask a cache that is away, for ever: a server that is not ready for want of it has no calls that would."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if entries.is_away:
            await entries.lag.poll()


async def _open_near(settings: Settings, entries: Entries | None, stack: AsyncExitStack) -> Near | None:
    """Return the copies of this process, kept true by a task that ends with `stack`."""
    if entries is None or not settings.near_age_max_s:
        return None
    near = Near.open(settings, entries.layout)
    tail = Tail.open(settings, near)
    await stack.enter_async_context(kept_running(tail.run(), "entresol near cache tail"))
    return near
