"""Schedules on real worker processes: each nominal time once, whoever is killed, stopped or away."""

from __future__ import annotations

import asyncio
import signal
import time
from datetime import datetime

import asyncpg
from tests.integration.jobs.conftest import FUNCTIONS, HERE, Workshop

from entresol.schedules.timing import parse

TICKING = f"{FUNCTIONS},{HERE / 'ticking.py'}"


def rows(workshop: Workshop, sql: str) -> list[asyncpg.Record]:
    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(workshop.settings.database_write)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def ticks(workshop: Workshop) -> list[datetime]:
    return [row[0] for row in rows(workshop, "SELECT tick_time FROM entresol.ticks ORDER BY 1")]


def delays(workshop: Workshop) -> list[float]:
    found = rows(
        workshop, "SELECT extract(epoch FROM create_time - tick_time)::float8 FROM entresol.ticks ORDER BY 1"
    )
    return [row[0] for row in found]


def test_each_tick_is_once_though_a_scheduler_is_killed_and_another_stands_still(workshop: Workshop) -> None:
    with workshop.worker(functions=TICKING) as first, workshop.worker(functions=TICKING) as second:
        time.sleep(2.5)
        first.kill()
        time.sleep(2)
        with workshop.worker(functions=TICKING):
            second.send_signal(signal.SIGSTOP)
            time.sleep(2)
            second.send_signal(signal.SIGCONT)
            time.sleep(1.5)
    seen = ticks(workshop)
    following = parse("every 1s")
    assert len(seen) >= 7
    assert [following(tick) for tick in seen[:-1]] == seen[1:]  # none is lost, and each is there once
    assert max(delays(workshop)) < 1
    jobs = rows(
        workshop, "SELECT (SELECT count(*) FROM entresol.jobs) + (SELECT count(*) FROM entresol.jobs_done)"
    )
    assert jobs[0][0] == len(seen)


def test_what_nobody_was_there_for_is_caught_up(workshop: Workshop) -> None:
    with workshop.worker(functions=TICKING):
        time.sleep(1.5)
    time.sleep(3)
    with workshop.worker(functions=TICKING):
        time.sleep(1.5)
    seen = ticks(workshop)
    following = parse("every 1s")
    assert len(seen) >= 5
    assert [following(tick) for tick in seen[:-1]] == seen[1:]
    assert max(delays(workshop)) > 1
