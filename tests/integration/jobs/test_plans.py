"""Plans: what a claim reads depends on what it claims, however many jobs there are."""

from __future__ import annotations

import pytest
from tests.integration.jobs.conftest import CROWD, put

from entresol.storage.catalog import read_query
from entresol.testing.servers import Database

JOBS = 50_000
SHARES = "gen_random_uuid(), '{1,2}', '{0,0}', '{50,50}'"
CLAIMS = {
    "claim": SHARES,
    "claim_limited": f"{SHARES}, '{{{CROWD},{CROWD}}}', '{{{CROWD}}}', '{{100}}', '{{100}}', '{{10}}', '{{10}}'",
}


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_a_claim_reads_no_jobs_but_those_that_it_claims(database: Database, mode: str) -> None:
    await put(database, JOBS // 2, tenants=2)
    await database.psql(
        f"INSERT INTO entresol.permits (kind, number) SELECT '{CROWD}', generate_series(1, 100);"
        f"INSERT INTO entresol.rates VALUES ('{CROWD}', now(), 1)"
    )
    await database.psql("ANALYZE")
    for query, arguments in CLAIMS.items():
        text = read_query(f"jobs/{query}")
        plan = await database.psql(
            f"SET plan_cache_mode = {mode}; PREPARE asked AS {text}; EXPLAIN EXECUTE asked ({arguments})"
        )
        assert "Seq Scan on jobs" not in plan, plan


def test_both_claims_begin_jobs_alike() -> None:
    ends = {read_query(f"jobs/{query}").partition("UPDATE entresol.jobs\n")[2] for query in CLAIMS}
    assert len(ends) == 1
