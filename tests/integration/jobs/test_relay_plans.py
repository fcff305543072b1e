"""The statements of the relay use its indexes, however many jobs wait and whatever their parameters are."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from entresol.config import Settings
from entresol.storage.catalog import read_query
from entresol.storage.pools import Pools
from entresol.testing.servers import Databases

JOBS = """
INSERT INTO entresol.lanes (queue, kind, tenant, priority)
    SELECT 'tasks', 'a.b.C', 'tenant ' || n, 0 FROM generate_series(1, 40) AS n;
INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request, relay_time)
    SELECT gen_random_uuid(), 1 + n % 40, 'ready', n, now(), 3, 9, '', CASE WHEN n < 500 THEN now() END
    FROM generate_series(1, 30000) AS n;
ANALYZE;
"""


@pytest.fixture
async def pools(databases: Databases, workshop_ready: Any) -> AsyncIterator[Pools]:
    database = await databases.create(workshop_ready, replicated=False)
    await database.psql(JOBS)
    found = await Pools.open(Settings.load({}, database_write=database.write_url))
    yield found
    await found.close()
    await databases.drop(database)


@pytest.mark.parametrize(
    ("query", "parameters", "index"),
    [
        ("relay_survey", ("tasks", [1, 2], [5, 5]), "jobs_ready_idx"),
        ("relay", ([1, 2], [5, 5], [10, 10]), "jobs_ready_idx"),
        ("relayed", ("tasks",), "jobs_relayed_idx"),
        ("relay_again", ("tasks", 30.0), "jobs_relayed_idx"),
        ("relay_undo", ([uuid.uuid4()],), "jobs_pkey"),
        ("claim_relayed", (uuid.uuid4(), [uuid.uuid4()], ["a.b.C"]), "jobs_pkey"),
    ],
)
async def test_a_statement_of_the_relay_finds_jobs_by_an_index(
    pools: Pools, query: str, parameters: tuple[object, ...], index: str
) -> None:
    async with pools.write() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        text = f"EXPLAIN (FORMAT JSON) {read_query(f'jobs/{query}')}"
        plan = list(_walk(json.loads(await connection.fetchval(text, *parameters))[0]["Plan"]))
        await connection.execute("RESET plan_cache_mode")
    scans = [node for node in plan if node.get("Relation Name") == "jobs" and "Scan" in node["Node Type"]]
    assert index in {node.get("Index Name") for node in plan}, plan
    assert not [node for node in scans if node["Node Type"] == "Seq Scan"], plan


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", []):
        yield from _walk(below)
