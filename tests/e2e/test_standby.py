"""Two relays: when the one that works is killed or freezes, the other goes on by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from entresol.cache.connection import Connection
from entresol.cache.entries import Entries
from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.testing.servers import Database

ROOT = Path(__file__).resolve().parents[2]
ENTRESOL = str(Path(sys.executable).parent / "entresol")
LEASE_S = 1.0
PATIENCE_S = 30.0


class Relays:
    """Relay processes over one database, and a look at what they have applied."""

    def __init__(self, database: Database, cache_url: str, primary: asyncpg.Connection) -> None:
        self._environment = {
            "ENTRESOL_DATABASE_WRITE": database.write_url,
            "ENTRESOL_CACHE_URL": cache_url,
            "ENTRESOL_CACHE_PREFIX": database.name,
            "ENTRESOL_RELAY_SLOT": database.name,
            "ENTRESOL_RELAY_LEASE_S": str(LEASE_S),
            "ENTRESOL_PROTOS": str(ROOT / "protos"),
        }
        self._slot = database.name
        self._primary = primary
        entries = Entries.open(Settings.load(self._environment))
        self.redis: Connection = entries.connection
        self._key = entries.layout.relay
        self.processes: list[Process] = []
        self._written = 0

    async def start(self) -> Process:
        """Start a relay, and return when it is up: then it works, or stands by when another does."""
        environment = {**os.environ, **self._environment}
        process = await asyncio.create_subprocess_exec(
            ENTRESOL, "relay", env=environment, stdout=asyncio.subprocess.PIPE
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"relaying\n"
        return process

    async def holder(self) -> int | None:
        """Return the server's process that reads the slot for a relay."""
        sql = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1"
        holder: int | None = await self._primary.fetchval(sql, self._slot)
        return holder

    async def until_applied(self) -> float:
        """Write, and return the seconds until a relay has applied that."""
        self._written += 1
        sql = "INSERT INTO users (name, create_time, update_time) VALUES ($1, now(), now())"
        await self._primary.execute(sql, f"users/u{self._written}")
        lsn = await self._primary.fetchval("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint")
        began_s = time.monotonic()

        async def is_applied() -> bool:
            (applied,) = await self.redis.execute(("HGET", self._key, "applied"))
            return applied is not None and int(applied, 16) >= lsn

        assert await until(is_applied, PATIENCE_S)
        return time.monotonic() - began_s


@pytest.fixture
async def relays(database: Database, cache_url: str) -> AsyncIterator[Relays]:
    primary = await asyncpg.connect(database.write_url)
    relays = Relays(database, cache_url, primary)
    yield relays
    for process in relays.processes:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    await relays.redis.close()
    await primary.close()


async def test_a_relay_that_is_killed_is_followed_by_the_one_that_stands_by(relays: Relays) -> None:
    first = await relays.start()
    await relays.until_applied()
    await relays.start()
    held = await relays.holder()
    first.send_signal(signal.SIGKILL)
    took_s = await relays.until_applied()
    assert await relays.holder() != held
    print(f"taken over {took_s:.2f} s after SIGKILL")


async def test_a_relay_that_freezes_loses_its_work_and_stands_by_when_it_wakes(relays: Relays) -> None:
    frozen = await relays.start()
    await relays.until_applied()
    second = await relays.start()
    held = await relays.holder()
    frozen.send_signal(signal.SIGSTOP)
    took_s = await relays.until_applied()
    taken = await relays.holder()
    assert taken != held
    print(f"taken over {took_s:.2f} s after SIGSTOP, with a lease of {LEASE_S} s")
    frozen.send_signal(signal.SIGCONT)
    await relays.until_applied()
    assert await relays.holder() == taken
    second.send_signal(signal.SIGKILL)
    await relays.until_applied()
    assert frozen.returncode is None
    assert await relays.holder() not in (held, taken, None)
