"""What the chart's autoscaler asks the database of a pool, of a real one."""

from __future__ import annotations

import functools

from tests.integration.jobs.conftest import CROWD, put
from tests.unit.helm.chart import named, render

from entresol.storage.jobs import Jobs
from entresol.testing.servers import Database

AUTOSCALED = {"workers.pools": {"tasks": {"autoscaling": {"enabled": True}}}}
OTHER = "workshop.v1.WorkshopService.RunTask"


@functools.cache
def queries() -> dict[str, str]:
    """Return the queries of the pool `tasks` by the names of their triggers."""
    scaler = named(render(settings=AUTOSCALED), "ScaledObject", "-worker-tasks")
    return {trigger["name"]: trigger["metadata"]["query"] for trigger in scaler["spec"]["triggers"]}


async def ask(database: Database, name: str) -> float:
    return float(await database.psql(queries()[name]))


async def test_late_is_the_age_of_the_oldest_job_that_workers_could_begin(
    database: Database, jobs: Jobs
) -> None:
    assert await ask(database, "late") == 0
    await put(database, 3)
    await put(database, 1, kind=OTHER)
    await database.psql("UPDATE entresol.jobs SET due_time = now() - interval '40 s' WHERE lane = 1")
    assert 40 <= await ask(database, "late") < 60
    await jobs.pause("tasks", CROWD)
    assert 0 < await ask(database, "late") < 20
    await jobs.pause("tasks")
    assert await ask(database, "late") == 0
    await jobs.resume("tasks")
    await jobs.resume("tasks", CROWD)
    await database.psql("UPDATE entresol.lanes SET queue = 'elsewhere'")
    assert await ask(database, "late") == 0


async def test_late_is_what_nobody_has_made_ready_though_it_is_due(database: Database) -> None:
    await put(database, 2)
    await database.psql("UPDATE entresol.jobs SET state = 'waiting', due_time = now() + interval '1 hour'")
    assert await ask(database, "late") == 0
    await database.psql("UPDATE entresol.jobs SET due_time = now() - interval '50 s'")
    assert 50 <= await ask(database, "late") < 70


async def test_running_is_what_a_pool_must_not_be_taken_away_from(database: Database) -> None:
    await put(database, 5)
    assert await ask(database, "running") == 0
    await database.psql(
        "UPDATE entresol.jobs SET state = 'running' WHERE id IN (SELECT id FROM entresol.jobs LIMIT 2)"
    )
    assert await ask(database, "running") == 2
    await database.psql("UPDATE entresol.lanes SET queue = 'elsewhere'")
    assert await ask(database, "running") == 0


async def test_neither_reads_the_jobs_that_wait(database: Database) -> None:
    await put(database, 12_500, tenants=2)
    await database.psql(
        "INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request)"
        " SELECT gen_random_uuid(), lane, 'waiting', position, now() + interval '1 hour', 1, 60, ''"
        " FROM entresol.jobs"
    )
    await database.psql("ANALYZE")
    for name, query in queries().items():
        plan = await database.psql(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {query}")
        assert "Seq Scan on jobs" not in plan, plan
        read = sum(int(line.split("hit=")[1].split()[0]) for line in plan.splitlines()[:2] if "hit=" in line)
        assert 0 < read < 40, f"{name}: {plan}"
