"""What chains add to who ends jobs that nobody waits for is two looks into an index, and to the chores nothing."""

from __future__ import annotations

import pytest
from tests.integration.jobs.conftest import put

from entresol.storage.catalog import read_query
from entresol.testing.servers import Database

JOBS, ENDED = 50_000, 100
MODES = ["force_generic_plan", "force_custom_plan"]
FOLLOWERS = f"""
    INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request, after, waits_for)
    SELECT gen_random_uuid(), lane, 'waiting', 1, %s, 1, 60, '', ARRAY[id], 1
    FROM (SELECT id, lane FROM entresol.jobs WHERE state = 'ready' LIMIT {JOBS // 5}) AS first
"""
SCANS = """
    SELECT pg_stat_get_xact_numscans('entresol.jobs'::regclass),
           pg_stat_get_xact_numscans('entresol.jobs_after_idx'::regclass),
           pg_stat_get_xact_numscans('entresol.jobs_waiting_idx'::regclass)
"""


@pytest.mark.parametrize("mode", MODES)
async def test_who_ends_jobs_reads_no_others(database: Database, mode: str) -> None:
    await put(database, JOBS)
    await database.psql(FOLLOWERS % "'infinity'")
    others = (
        "SELECT id FROM entresol.jobs WHERE state = 'ready' EXCEPT SELECT unnest(after) FROM entresol.jobs"
    )
    await database.psql(
        f"UPDATE entresol.jobs SET state = 'running' WHERE id IN (SELECT id FROM ({others}) AS others LIMIT {ENDED})"
    )
    await database.psql("VACUUM ANALYZE entresol.jobs")
    ids = (
        "{"
        + (await database.psql("SELECT id FROM entresol.jobs WHERE state = 'running'")).replace("\n", ",")
        + "}"
    )
    ones = "{" + ",".join(["0"] * ENDED) + "}"
    asked = (
        f"EXECUTE asked ('{ids}', '{ones}', '{ones.replace('0', 'succeeded')}', '{ones.replace('0', 'x')}')"
    )
    prepare = f"SET plan_cache_mode = {mode}; PREPARE asked AS {read_query('jobs/finish')};"
    # Of functions no plan is shown. Whether to tell workers is one look, and whom to release another.
    told = await database.psql(f"{prepare} BEGIN; {asked}; {SCANS}; COMMIT")
    assert told.count("|f") == ENDED
    assert told.splitlines()[-1] == "0|2|0"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("query", "arguments"), [("settle", "(NULL)"), ("promote", "")])
async def test_chores_read_no_jobs_but_those_whose_time_has_come(
    database: Database, mode: str, query: str, arguments: str
) -> None:
    await put(database, JOBS)
    await database.psql(FOLLOWERS % "'infinity'")
    await database.psql("ANALYZE")
    asked = f"SET plan_cache_mode = {mode}; PREPARE asked AS {read_query(f'jobs/{query}')}; EXPLAIN"
    plan = await database.psql(f"{asked} (ANALYZE, TIMING false) EXECUTE asked {arguments}")
    assert "Seq Scan on jobs" not in plan, plan
    assert "jobs_waiting_idx" in plan, plan
    assert "Rows Removed by" not in plan, plan
