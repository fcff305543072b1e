"""Schedulers side by side: thousands of ticks of one moment, what an outage of days left, and what is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests.integration.jobs.conftest import SERVICE, Workshop
from tests.integration.jobs.test_jobs import until

from entresol import telemetry
from entresol.schedules.scheduler import LOOK_S, SPREAD_S, Scheduler
from entresol.schema.model import JobPolicy
from entresol.storage.jobs import Jobs
from entresol.storage.pools import Pools
from entresol.storage.schedules import FORGOTTEN_MAX, Schedules
from entresol.testing.servers import run

KIND = f"{SERVICE}.RunTask"
POLICIES = {KIND: JobPolicy("workshop.v1.RunTaskResponse", "entresol.ops.v1.JobMetadata", "tasks")}
COUNT = 10_000
ADD = f"""
    INSERT INTO entresol.schedules
        (name, kind, request, timing, zone, overlap, missed, missed_max, jitter_s, next_time)
    SELECT 's' || number, '{KIND}', '', 'TIMING', 'UTC', 'allow', 'MISSED', 100, 0, NEXT
    FROM generate_series(1, NUMBER) AS number
"""


@asynccontextmanager
async def schedulers(workshop: Workshop, count: int) -> AsyncIterator[list[Scheduler]]:
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            pools = await Pools.open(workshop.settings)
            stack.push_async_callback(pools.close)
            made.append(Scheduler(Schedules(pools), Jobs(pools), POLICIES, [], kept_days=7))
        yield made


def add(workshop: Workshop, *, timing: str, missed: str, next_time: str, number: int = 1) -> None:
    texts = {"TIMING": timing, "MISSED": missed, "NEXT": next_time, "NUMBER": str(number)}
    sql = ADD
    for name, text in texts.items():
        sql = sql.replace(name, text)
    run(workshop.database.psql(sql))


def told(workshop: Workshop, sql: str) -> list[str]:
    return run(workshop.database.psql(sql)).strip().split("|")


async def tick_until_nothing_is_due(scheduler: Scheduler) -> int:
    count = 0
    while not await scheduler.tick():
        count += 1
    return count


def test_ten_thousand_schedules_of_one_second_are_put_in_once_each_by_three_schedulers(
    workshop: Workshop,
) -> None:
    add(workshop, timing="every 1h", missed="all", next_time="date_trunc('hour', now())", number=COUNT)

    async def work() -> None:
        async with schedulers(workshop, 3) as made:
            began_s = time.monotonic()
            await asyncio.gather(*map(tick_until_nothing_is_due, made))
            print(f"{COUNT} schedules of one second were put in within {time.monotonic() - began_s:.2f} s")

    run(work())
    counts = told(
        workshop,
        "SELECT count(*), count(DISTINCT schedule), count(DISTINCT tick_time), (SELECT count(*) FROM entresol.jobs),"
        " (SELECT count(*) FROM entresol.jobs JOIN entresol.ticks ON job = id) FROM entresol.ticks",
    )
    assert counts == [str(COUNT), str(COUNT), "1", str(COUNT), str(COUNT)]


def test_a_scheduler_comes_again_for_the_next_tick_and_no_later_than_one_may_be_that_was_added(
    workshop: Workshop,
) -> None:
    pauses: list[float] = []

    async def look() -> None:
        async with schedulers(workshop, 1) as made:
            pauses.append(await made[0].tick())

    run(look())
    add(workshop, timing="every 1h", missed="all", next_time="now() + interval '0.4 s'")
    run(look())
    time.sleep(0.4)
    run(look())
    run(look())
    nothing, near, moved, far = pauses
    assert (nothing, moved, far) == (LOOK_S, 0, LOOK_S)
    assert 0 < near <= 0.4 + SPREAD_S


def test_of_an_outage_of_three_days_the_newest_ticks_are_caught_up_and_the_others_counted_and_listed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    counter = provider.get_meter("test").create_counter("skipped")
    monkeypatch.setattr(telemetry, "TICKS_SKIPPED", counter)
    days_ago = "date_trunc('minute', now()) - interval '3 days'"
    add(workshop, timing="every 1m", missed="all", next_time=days_ago)

    async def work() -> None:
        async with schedulers(workshop, 2) as made:
            await asyncio.gather(*map(tick_until_nothing_is_due, made))

    run(work())
    ticks = workshop.operate("ListTicks", parent="schedules/s1", page_size=1000).ticks
    begun = [tick for tick in ticks if tick.operation]
    (skipped,) = (tick for tick in ticks if tick.reason)
    assert (len(begun), skipped.reason) == (100, "missed")
    assert 3 * 1440 + 1 <= len(begun) + skipped.count <= 3 * 1440 + 3  # a minute may have begun meanwhile
    data = reader.get_metrics_data()
    assert data is not None
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert point.value == skipped.count  # type: ignore[union-attr]  # of a counter
    assert point.attributes == {telemetry.SCHEDULE: "s1", telemetry.REASON: "missed"}
    provider.shutdown()


def test_ticks_are_forgotten_in_their_time_a_bounded_number_at_once(workshop: Workshop) -> None:
    old, count = "now() - interval '7 days 1 minute'", FORGOTTEN_MAX + 5
    run(
        workshop.database.psql(f"""
            INSERT INTO entresol.ticks (schedule, tick_time, job, create_time)
                SELECT 's', now() - make_interval(secs => n), gen_random_uuid(), {old}
                FROM generate_series(1, {count}) AS n;
            INSERT INTO entresol.skips (schedule, first_time, last_time, number, reason, create_time)
                SELECT 's', now(), now(), 1, 'missed', {old} FROM generate_series(1, 3);
            INSERT INTO entresol.ticks (schedule, tick_time, job) VALUES ('s', now(), gen_random_uuid());
            INSERT INTO entresol.skips (schedule, first_time, last_time, number, reason)
                VALUES ('s', now(), now(), 1, 'missed')
        """)
    )
    counts = "SELECT (SELECT count(*) FROM entresol.ticks), (SELECT count(*) FROM entresol.skips)"

    async def work() -> None:
        pools = await Pools.open(workshop.settings)
        try:
            schedules = Schedules(pools)
            assert await schedules.forget(7)
            assert told(workshop, counts) == ["6", "1"]
            assert not await schedules.forget(7)
        finally:
            await pools.close()

    run(work())
    assert told(workshop, counts) == ["1", "1"]


def test_a_scheduler_that_runs_forgets_by_itself(workshop: Workshop) -> None:
    run(
        workshop.database.psql(
            "INSERT INTO entresol.ticks (schedule, tick_time, job, create_time) "
            "VALUES ('s', now(), gen_random_uuid(), now() - interval '8 days')"
        )
    )

    with workshop.worker():
        until(lambda: told(workshop, "SELECT count(*) FROM entresol.ticks") == ["0"])
