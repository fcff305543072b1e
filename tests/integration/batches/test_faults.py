"""What is killed while a batch runs: the result is right, published once, and readers see the one before until then."""

from __future__ import annotations

import pytest
from tests.integration.batches.conftest import Cluster, Market, until

from entresol.errors import Code

SLOW_S = 0.02  # of a sale


def begin_slowly(market: Market, engine: str) -> tuple[str, dict[str, int]]:
    """Publish a result, change what it was made of, and begin a slow run; return its operation and what is shown."""
    market.sell(300)
    with market.worker():
        market.done(market.begin("AddTotals", engine="python"))
    shown = market.shown()
    market.sell(3000, pause_s=SLOW_S)
    return market.begin("AddTotals", engine=engine), shown


def check(market: Market, name: str, attempts: int) -> None:
    """Require that the run is published once, and right."""
    run = market.done(name)
    assert market.metadata(name).attempt >= attempts
    assert market.totals() == market.sold()
    assert [one["state"] for one in market.generations()] == ["published", "published"]
    assert run.generation == 2


def test_a_killed_worker_s_run_is_made_again_and_published_once(market: Market) -> None:
    name, shown = begin_slowly(market, "python")
    with market.worker() as first:
        until(lambda: market.metadata(name).percent >= 40)
        first.kill()
    assert market.shown() == shown
    with market.worker():
        until(lambda: market.metadata(name).attempt == 2)
        assert market.shown() == shown
        check(market, name, 2)


@pytest.mark.parametrize("percent", [10, 50, 65])
def test_a_killed_worker_of_the_cluster_is_made_up_for(
    market: Market, cluster: Cluster, percent: int
) -> None:
    name, shown = begin_slowly(market, "dask")
    with market.worker(batches_dask=cluster.address):
        until(lambda: market.metadata(name).percent >= percent)
        assert market.shown() == shown
        cluster.workers[0].kill()
        cluster.workers.append(cluster.add())
        check(market, name, 1)


def test_a_killed_scheduler_of_the_cluster_lets_the_run_be_made_again(
    market: Market, cluster: Cluster
) -> None:
    name, shown = begin_slowly(market, "dask")
    with market.worker(batches_dask=cluster.address):
        until(lambda: market.metadata(name).percent >= 20)
        cluster.stop()
        until(lambda: "failed" in [one["state"] for one in market.generations()])
        assert market.shown() == shown
        cluster.start()
        check(market, name, 2)


def test_a_cancelled_run_publishes_nothing_and_the_next_one_says_that_it_ended(market: Market) -> None:
    name, shown = begin_slowly(market, "python")
    with market.worker():
        until(lambda: market.metadata(name).percent >= 20)
        market.api.call("CancelOperation", name=name)
        until(lambda: market.operation(name).done)
        assert market.operation(name).error.code == Code.CANCELLED
        assert market.shown() == shown
        market.rows("UPDATE sales SET pause_s = 0")
        market.done(market.begin("AddTotals"))
    assert market.totals() == market.sold()
    assert [one["state"] for one in market.generations()] == ["published", "failed", "published"]
