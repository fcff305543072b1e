"""Batches on real servers: every engine makes the same records, of one moment of a replica, shown whole."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import threading
from typing import Any

import pytest
from tests.integration.batches.conftest import DAY, HERE, Cluster, Market, move_sales, until
from tests.integration.jobs.conftest import ENTRESOL, environment

from entresol.errors import Code

ENGINES = [
    ("SumTotals", "sql"),
    ("SumTotals", "duckdb"),
    ("SumTotals", "dask"),
    ("AddTotals", "python"),
    ("AddTotals", "dask"),
]


def test_every_engine_makes_the_same_records_and_rewrites_none_that_are_as_they_were(
    market: Market, cluster: Cluster
) -> None:
    market.sell(6000)
    expected = market.sold()
    assert len(expected) == 20
    with market.worker(batches_dask=cluster.address):
        runs = [market.done(market.begin(method, engine=engine)) for method, engine in ENGINES]
        versions = market.rows("SELECT name, row_version FROM totals")
        assert market.totals() == expected
        market.rows("DELETE FROM sales WHERE shop = 'shop-3'")
        market.rows("UPDATE sales SET shop = 'shop-new' WHERE shop = 'shop-4'")
        again = market.done(market.begin())
    assert [(run.engine, run.inserted_rows, run.updated_rows, run.deleted_rows) for run in runs] == [
        (engine, 20 if place == 0 else 0, 0, 0) for place, (_, engine) in enumerate(ENGINES)
    ]
    assert {run.input_rows for run in runs} == {sum(sales for _, sales, _ in expected.values())}
    assert (again.inserted_rows, again.updated_rows, again.deleted_rows) == (1, 0, 2)
    assert market.totals() == market.sold()
    kept = {row["name"]: row["row_version"] for row in versions}
    left = {row["name"]: row["row_version"] for row in market.rows("SELECT name, row_version FROM totals")}
    assert all(kept[name] == version for name, version in left.items() if name in kept)
    assert {generation["server"].partition(":")[0] for generation in market.generations()} == {"replica"}


@pytest.mark.parametrize(("method", "engine"), ENGINES)
def test_a_result_is_of_one_moment_though_rows_come_and_go(
    market: Market, cluster: Cluster, method: str, engine: str
) -> None:
    market.sell(9000)
    before = market.sold()
    stop, moved = asyncio.Event(), []
    mover = threading.Thread(
        target=lambda: moved.append(asyncio.run(move_sales(market.settings.database_write, 7, stop)))
    )
    with market.worker(batches_dask=cluster.address):
        mover.start()
        try:
            for _ in range(2):
                market.done(market.begin(method, engine=engine))
                found = market.totals()
                # What a transaction moves from one shop to another is in one of them, never in both or none.
                for part in (0, 1):
                    assert sum(row[part] for row in found.values()) == sum(
                        row[part] for row in before.values()
                    )
        finally:
            stop.set()
            mover.join()
    assert moved[0] > 10


def test_readers_are_shown_the_result_through_the_cache_and_what_is_gone_is_not_found(market: Market) -> None:
    market.sell(300)
    name = f"days/{DAY}/totals/shop-1"
    market.api.refused(Code.NOT_FOUND, "GetTotal", name=name)
    assert list(market.api.call("ListTotals", parent=f"days/{DAY}").totals) == []
    with market.worker():
        market.done(market.begin())
        until(lambda: len(market.api.call("ListTotals", parent=f"days/{DAY}").totals) == 20)
        until(lambda: _answered_from_cache(market, name))
        market.rows("DELETE FROM sales WHERE shop = 'shop-1'")
        market.done(market.begin())
        until(lambda: len(market.api.call("ListTotals", parent=f"days/{DAY}").totals) == 19)
        market.api.refused(Code.NOT_FOUND, "GetTotal", name=name)


def _answered_from_cache(market: Market, name: str) -> bool:
    total = market.api.call("GetTotal", name=name)
    return market.api.answered_by in ("near", "cache") and total.sales == market.sold()["shop-1"][1]


def test_what_cannot_be_computed_is_dead_at_once_and_says_why(market: Market) -> None:
    market.sell(30)
    with market.worker():
        for method, request, code, text in [
            ("SpoilTotals", {"engine": "sql"}, Code.FAILED_PRECONDITION, 'column "nothing" does not exist'),
            ("SpoilTotals", {"engine": "duckdb"}, Code.FAILED_PRECONDITION, '"nothing" not found'),
            ("AddTotals", {"engine": "sql"}, Code.INVALID_ARGUMENT, "functions cannot be pushed down"),
            ("SumTotals", {"engine": "dask"}, Code.FAILED_PRECONDITION, "there is no cluster"),
            ("SumTotals", {"key": "yesterday"}, Code.INVALID_ARGUMENT, "is no day"),
        ]:
            name = market.begin(method, **request)
            until(lambda name=name: market.operation(name).done)  # type: ignore[misc]
            found = market.operation(name)
            assert (found.error.code, text in found.error.message) == (code, True), found
    assert market.totals() == {}
    assert {generation["state"] for generation in market.generations()} == {"failed"}


def test_an_input_larger_than_its_memory_is_spilt(market: Market) -> None:
    count = 120_000
    market.rows(
        f"""INSERT INTO sales (name, shop, amount, sell_time)
        SELECT 'sales/' || n, 'shop-' || repeat(md5(n::text), 7), 1, '{DAY} 12:00Z'
        FROM generate_series(1, {count}) AS n"""
    )
    with market.worker(batches_memory_bytes=16 * 1024 * 1024):
        run = market.done(market.begin(engine="duckdb"), 100)
    assert (run.input_rows, run.output_rows) == (count, count)
    assert market.rows("SELECT count(*), sum(sales)::bigint FROM totals")[0] == (count, count)


def test_an_input_that_does_not_fit_anywhere_is_refused_and_the_worker_lives(market: Market) -> None:
    market.sell(30_000)
    with market.worker(batches_memory_bytes=1024 * 1024) as worker:
        market.begin(engine="duckdb")
        until(lambda: any("does not fit" in one["error"] for one in market.generations()))
        market.done(market.begin(engine="sql"))
        assert worker.poll() is None


def test_a_lost_session_of_the_replica_is_tried_again_of_another_moment(market: Market) -> None:
    market.sell(900, pause_s=0.01)
    name = ""
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'entresol batch'"

    def ended() -> list[Any]:
        return [row for url in market.settings.database_read for row in market.rows(end, url=url)]

    with market.worker():
        name = market.begin("AddTotals")
        until(lambda: market.metadata(name).percent > 0)
        assert ended()
        run = market.done(name)
        assert market.metadata(name).attempt == 2
    assert market.totals() == market.sold()
    assert run.generation == 1


def test_a_result_of_an_earlier_moment_than_what_is_shown_changes_nothing(market: Market) -> None:
    market.sell(300)
    with market.worker():
        market.done(market.begin())
        shown = market.totals()
        market.rows("UPDATE entresol.batch_generations SET as_of_time = now() + interval '1 hour'")
        market.sell(300)
        run = market.done(market.begin())
    assert (run.generation, run.state, run.output_rows) == (2, 2, 0)
    assert market.totals() == shown
    assert [one["state"] for one in market.generations()] == ["published", "superseded"]


def test_a_result_with_a_name_that_is_none_is_not_published(market: Market) -> None:
    market.sell(300)
    with market.worker():
        market.done(market.begin())
        shown = market.totals()
        market.rows(f"INSERT INTO sales (name, shop, sell_time) VALUES ('sales/x', 'a/b', '{DAY} 12:00Z')")
        for method in ("SumTotals", "AddTotals"):
            name = market.begin(method)
            until(lambda name=name: market.operation(name).done)  # type: ignore[misc]
            assert (
                "which is not of the form days/{day}/totals/{total}" in market.operation(name).error.message
            )
    assert market.totals() == shown


def test_an_operator_runs_a_batch_and_sees_what_is_shown(market: Market) -> None:
    market.sell(300)

    def told(*words: str) -> str:
        settings = dataclasses.replace(market.settings, functions=str(HERE / "functions.py"))
        command = [ENTRESOL, "batches", *words]
        done = subprocess.run(
            command, env=environment(settings), capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    with market.worker():
        name = told("run", "totals", "--key", DAY, "--engine", "duckdb", "--wait").strip()
    assert market.operation(name).done
    assert market.totals() == market.sold()
    (line,) = told("list", "--json").splitlines()
    facts = json.loads(line)
    assert (facts["batch"], facts["run_key"], facts["state"], facts["engine"]) == (
        "totals",
        DAY,
        "published",
        "duckdb",
    )
    assert json.loads(told("show", "totals", "--key", DAY)) == facts
