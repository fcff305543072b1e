"""Plans that were made while the queue was empty: each job is found by an index and a condition all the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from entresol import storage
from entresol.storage.catalog import read_query
from entresol.testing.servers import Database

QUERIES = Path(storage.__file__).parent / "queries"
TABLES = ("jobs", "outbox", "attempts")
# Those that count or look through all jobs of a state, by what they do, and those that people ask for.
WHOLE: Mapping[str, set[str]] = {
    "jobs/depths": {"jobs"},
    "jobs/lengths": {"jobs_ready_idx", "jobs_waiting_idx"},
    "jobs/lost": {"jobs_running_idx"},
    "jobs/purge": {"jobs_dead_idx"},
    "jobs/relay_again": {"jobs_ready_idx", "jobs_relayed_idx"},
    "jobs/relay_undo": {"jobs_ready_idx"},
    "jobs/relayed": {"jobs_ready_idx", "jobs_relayed_idx"},
    "jobs/retry": {"jobs_dead_idx", "jobs_unique_idx"},
    "jobs/sweep": {"jobs_running_idx"},
    "outbox/known": {"outbox_position_idx"},
    "outbox/lengths": {"outbox"},
    "outbox/take": {"outbox_position_idx"},
    "attempts/expired": {"attempts_end_idx"},
    "schedules/unhold": {"jobs_waiting_idx"},
}

FILL = """
    INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request)
    SELECT gen_random_uuid(), 1, 'ready', 1, now(), 1, 1, '' FROM generate_series(1, 5000)"""

# Of this session: what it has not told the server's statistics yet, which it does at most once a second.
READ = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'entresol.jobs'::regclass"


def statements() -> Iterator[tuple[str, str]]:
    for folder in ("jobs", "outbox", "attempts", "schedules"):
        for path in sorted((QUERIES / folder).glob("*.sql")):
            text = path.read_text()
            if "{" not in text:  # those are of jobs that are put in
                yield f"{folder}/{path.stem}", text


def unbounded(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is read whole: tables, and indexes without a condition."""
    kind, index = plan["Node Type"], plan.get("Index Name")
    reads = kind.endswith("Scan") and kind != "Bitmap Heap Scan"
    if (
        reads
        and "Index Cond" not in plan
        and (plan.get("Relation Name") in TABLES or kind == "Bitmap Index Scan")
    ):
        yield index or plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from unbounded(below)


async def read_whole(connection: asyncpg.Connection) -> dict[str, set[str]]:
    """Return what each statement reads whole by the plan that it would be kept with."""
    found = {}
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    for name, text in statements():
        parameters = ["NULL"] * max((int(number) for number in re.findall(r"\$(\d+)", text)), default=0)
        given = f"({', '.join(parameters)})" if parameters else ""
        await connection.execute(f"PREPARE asked AS {text}")
        (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{given}"))
        await connection.execute("DEALLOCATE asked")
        found[name] = set(unbounded(plan["Plan"]))
    return found


async def empty_again(connection: asyncpg.Connection) -> None:
    await connection.execute(FILL)
    await connection.execute("DELETE FROM entresol.jobs")
    for table in TABLES:
        await connection.execute(f"VACUUM ANALYZE entresol.{table}")


async def test_what_ends_jobs_reads_no_others_though_it_was_planned_when_nothing_was_there(
    database: Database,
) -> None:
    connection = await asyncpg.connect(database.write_url)
    try:
        await empty_again(connection)
        finish = await connection.prepare(read_query("jobs/finish"))
        for _ in range(10):  # after five times a plan is kept
            await finish.fetch([], [], [], [])
        await connection.execute(FILL)
        ended = await connection.fetch(
            "UPDATE entresol.jobs SET state = 'running', token = 7 "
            "WHERE id IN (SELECT id FROM entresol.jobs LIMIT 10) RETURNING id"
        )
        ids = [record["id"] for record in ended]
        before = await connection.fetchval(READ)  # of earlier statements, too
        assert len(await finish.fetch(ids, [7] * 10, ["succeeded"] * 10, [b""] * 10)) == 10
        read = await connection.fetchval(READ) - before
    finally:
        await connection.close()
    assert read < 100


@pytest.mark.parametrize("state", ["new", "empty again"])
async def test_no_statement_of_the_queue_reads_all_of_it_though_it_was_planned_when_nothing_was_there(
    database: Database, state: str
) -> None:
    connection = await asyncpg.connect(database.write_url)
    try:
        if state == "empty again":
            await empty_again(connection)
        found = await read_whole(connection)
    finally:
        await connection.close()
    assert len(found) > 50
    wrong = {name: whole for name, whole in found.items() if not whole <= WHOLE.get(name, set())}
    assert not wrong
