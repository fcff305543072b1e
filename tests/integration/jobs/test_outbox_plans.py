"""The statements of the outbox and of tokens use their indexes, however many jobs wait and whatever they are asked."""

from __future__ import annotations

import pytest

from entresol.storage.catalog import read_query
from entresol.storage.job_ids import new_id
from entresol.storage.new_jobs import Lane, NewJob, with_jobs
from entresol.testing.servers import Database

ROWS = """
    INSERT INTO entresol.outbox
        (id, position, queue, kind, tenant, priority, delay_s, attempts_max, timeout_s, caller, trace, request, after)
        SELECT gen_random_uuid(), n, 'tasks', 'a.b.C', '', 0, 0, 3, 9, '', '', '', CASE WHEN n % 9 = 0 THEN ids END
        FROM generate_series(1, 30000) AS n, (SELECT ARRAY[gen_random_uuid()] AS ids) AS one;
    INSERT INTO entresol.attempts (id, token, end_time)
        SELECT gen_random_uuid(), n, now() + n * interval '1 second' FROM generate_series(1, 30000) AS n;
    INSERT INTO entresol.jobs_done (id, lane, outcome, create_time, done_time, attempt, percent, step, caller)
        SELECT gen_random_uuid(), 1, 'succeeded', now(), now(), 1, 0, '', '' FROM generate_series(1, 30000);
"""
ID, IDS = "gen_random_uuid()", "ARRAY[gen_random_uuid(), gen_random_uuid()]"
NEW = ", ".join(f"'{{{value},{value}}}'" for value in ("q", "k", "t", 0, 0, 1, 1, "c", "t", "r"))
ASKED = {
    "outbox/take": IDS,
    "outbox/remove": IDS,
    "outbox/known": IDS,
    "outbox/read": IDS,
    "outbox/look": "29000, 1000",
    "outbox/having": ID,
    "attempts/begin": f"{IDS}, '{{1,2}}', '{{1,2}}'",
    "attempts/hold": f"{ID}, 1, NULL, 1",
    "attempts/expired": "1000",
    "attempts/forget": f"{IDS}, {IDS}",
}


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_nothing_that_is_asked_of_the_outbox_reads_all_of_it(database: Database, mode: str) -> None:
    await database.psql(ROWS)
    await database.psql("ANALYZE")
    for query, arguments in ASKED.items():
        plan = await _plan(database, mode, read_query(query), arguments)
        assert "Seq Scan on outbox" not in plan, (query, plan)
        assert "Seq Scan on attempts" not in plan, (query, plan)
    text = with_jobs(read_query("jobs/arrive"), [NewJob(new_id(), Lane("q", "k"), b"", 1, 1.0)] * 2).text
    plan = await _plan(database, mode, text, f"{IDS}, {NEW}, ARRAY[NULL, NULL]::uuid[], '{{NULL,NULL}}'")
    assert "Index Only Scan using jobs_done_" in plan, plan


async def _plan(database: Database, mode: str, text: str, arguments: str) -> str:
    return await database.psql(
        f"SET plan_cache_mode = {mode}; PREPARE asked AS {text}; EXPLAIN EXECUTE asked ({arguments})"
    )
