"""Batches whose queue is in a cluster of its own: what is published is as it is with one database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.batches.conftest import Market

from entresol.embedded import CacheKind, EmbeddedServers
from entresol.testing.servers import run


@pytest.fixture
def queue_url(market_ready: Any) -> Iterator[str]:
    servers = run(EmbeddedServers.start(replicas=0, cache=CacheKind.NONE))
    run(market_ready(servers.write_url))
    yield servers.write_url
    run(servers.stop())


def test_runs_of_one_key_are_published_one_after_the_other_and_none_ends_another(market: Market) -> None:
    market.sell(3000)
    with market.worker():
        names = [market.begin(engine="sql") for _ in range(3)]
        runs = [market.done(name) for name in names]
    assert market.totals() == market.sold()
    assert {run.generation for run in runs} == {1, 2, 3}
    assert {generation["state"] for generation in market.generations()} <= {"published", "superseded"}
    assert market.rows("SELECT count(*) FROM entresol.jobs_done")[0][0] == 0


def test_a_generation_whose_job_was_cancelled_is_ended_by_the_next(market: Market) -> None:
    market.sell(300)
    cancelled = market.begin()
    market.api.call("CancelOperation", name=cancelled)
    market.rows(
        "INSERT INTO entresol.batch_generations (batch, run_key, generation, job, attempt, state) VALUES "
        f"('totals', '2026-01-31', 1, '{cancelled.partition('/')[2]}', 1, 'running')"
    )
    with market.worker():
        market.done(market.begin())
    assert [one["state"] for one in market.generations()] == ["failed", "published"]
