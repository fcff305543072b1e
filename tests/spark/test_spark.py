"""Batches on a real Spark Connect server: the rows of the other engines, whatever is killed meanwhile."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.batches.conftest import DAY, Market, until
from tests.integration.batches.test_faults import begin_slowly, check
from tests.integration.batches.test_referrers import EXPECTED, counted
from tests.integration.batches.test_suggestions import (
    HOURS_OF_WINDOW,
    Click,
    follow,
    relate,
    related,
    shown,
    worker,
)
from tests.spark.server import Spark

from entresol.embedded.postgres import free_port
from entresol.errors import Code
from entresol.testing.platforms import ServedPlatform

pytestmark = pytest.mark.timeout(300)
ENGINES = [("SumTotals", "sql"), ("SumTotals", "duckdb"), ("AddTotals", "python")]
OURS = [("SumTotals", "spark"), ("AddTotals", "spark")]


def test_spark_makes_the_records_of_every_other_engine_of_texts_and_of_functions(
    market: Market, spark: Spark
) -> None:
    market.sell(6000)
    expected = market.sold()
    with market.worker(batches_spark=spark.address):
        for method, engine in [*OURS, *ENGINES]:
            market.rows("TRUNCATE totals")
            run = market.done(market.begin(method, engine=engine))
            assert (run.engine, run.output_rows) == (engine, 20)
            assert run.input_rows == sum(sales for _, sales, _ in expected.values())
            assert market.totals() == expected, engine
        run = market.done(market.begin("AddTotals", engine="spark"))
    assert (run.inserted_rows, run.updated_rows, run.deleted_rows) == (0, 0, 0)


def test_spark_counts_visits_as_every_other_engine_does(platform: ServedPlatform, spark: Spark) -> None:
    assert counted(platform, "spark", batches_spark=spark.address) == EXPECTED


def test_spark_relates_stories_as_every_other_engine_does(platform: ServedPlatform, spark: Spark) -> None:
    dice = random.Random(7)
    clicks = [
        Click(f"v{dice.randrange(25)}", f"s{int(dice.paretovariate(0.7)) % 60}", dice.randrange(-24, 200))
        for _ in range(1500)
    ]
    expected = related([click for click in clicks if click.hour < HOURS_OF_WINDOW])
    follow(platform, clicks)
    with worker(platform, batches_spark=spark.address):
        run = relate(platform, "spark")
    assert (run.engine, run.output_rows) == ("spark", len(expected))
    assert shown(platform) == expected


@pytest.mark.parametrize(("method", "engine"), OURS)
def test_a_day_without_sales_is_published_empty(
    market: Market, spark: Spark, method: str, engine: str
) -> None:
    with market.worker(batches_spark=spark.address):
        run = market.done(market.begin(method, engine=engine))
    assert (run.input_rows, run.output_rows) == (0, 0)


def test_an_input_larger_than_its_memory_is_spilt(market: Market, spark: Spark) -> None:
    count = 120_000
    market.rows(
        f"""INSERT INTO sales (name, shop, amount, sell_time)
        SELECT 'sales/' || n, 'shop-' || repeat(md5(n::text), 7), 1, '{DAY} 12:00Z'
        FROM generate_series(1, {count}) AS n"""
    )
    with market.worker(batches_spark=spark.address, batches_memory_bytes=16 * 1024 * 1024):
        run = market.done(market.begin(engine="spark"), 100)
    assert (run.input_rows, run.output_rows) == (count, count)
    assert market.rows("SELECT count(*), sum(sales)::bigint FROM totals")[0] == (count, count)


def test_rows_that_come_and_go_during_a_run_do_not_show(market: Market, spark: Spark) -> None:
    name, _ = begin_slowly(market, "spark")
    before = market.sold()
    with market.worker(batches_spark=spark.address):
        until(lambda: market.metadata(name).percent >= 10, 90)
        market.rows("DELETE FROM sales WHERE shop = 'shop-3'")
        market.sell(700)
        assert market.sold() != before
        market.done(name)
    assert market.totals() == before


def test_a_killed_task_is_done_again_by_spark(market: Market, spark: Spark) -> None:
    name, shown_before = begin_slowly(market, "spark")
    with market.worker(batches_spark=spark.address):
        until(lambda: market.metadata(name).percent >= 10, 90)
        killed = spark.tasks()
        for pid in killed:
            os.kill(pid, 9)
        assert market.shown() == shown_before
        check(market, name, 1)
    assert len(killed) >= 2
    assert market.metadata(name).attempt == 1
    assert b"Python worker exited unexpectedly" in spark.log.read_bytes()


def test_a_killed_server_lets_the_run_be_made_again(market: Market, spark: Spark) -> None:
    name, shown_before = begin_slowly(market, "spark")
    with market.worker(batches_spark=spark.address):
        until(lambda: market.metadata(name).percent >= 10, 90)
        spark.kill()
        until(lambda: "failed" in [one["state"] for one in market.generations()])
        assert market.shown() == shown_before
        market.rows("UPDATE sales SET pause_s = 0")
        spark.start()
        check(market, name, 2)


def test_a_cancelled_run_is_cancelled_on_the_server_too_and_publishes_nothing(
    market: Market, spark: Spark
) -> None:
    name, shown_before = begin_slowly(market, "spark")
    with market.worker(batches_spark=spark.address):
        until(lambda: market.metadata(name).percent >= 10, 90)
        assert spark.running() == 1
        market.api.call("CancelOperation", name=name)
        until(lambda: market.operation(name).done, 10)
        assert market.operation(name).error.code == Code.CANCELLED
        until(lambda: spark.running() == 0, 10)
        assert market.shown() == shown_before
        # The tasks are given up, too: what there are two places for is done at once.
        market.rows("UPDATE sales SET pause_s = 0")
        market.done(market.begin("AddTotals", engine="spark"))
    assert market.totals() == market.sold()


def test_a_server_that_stands_still_keeps_nobody_from_cancelling(market: Market, spark: Spark) -> None:
    name, shown_before = begin_slowly(market, "spark")
    assert spark.process is not None
    with market.worker(batches_spark=spark.address):
        until(lambda: market.metadata(name).percent >= 10, 90)
        spark.process.send_signal(signal.SIGSTOP)
        try:
            market.api.call("CancelOperation", name=name)
            until(lambda: market.operation(name).done, 10)
            assert market.operation(name).error.code == Code.CANCELLED
            assert market.shown() == shown_before
            market.done(market.begin(engine="sql"))
        finally:
            spark.process.send_signal(signal.SIGCONT)
    assert market.totals() == market.sold()


def failure(market: Market, method: str) -> tuple[Any, str]:
    """Return the code and the text with which a run on Spark fails."""
    name = market.begin(method, engine="spark")
    until(lambda: market.operation(name).done)
    found = market.operation(name).error
    return found.code, found.message


def test_a_text_that_is_wrong_is_told_as_other_engines_tell_it(market: Market, spark: Spark) -> None:
    market.sell(30)
    with market.worker(batches_spark=spark.address):
        code, text = failure(market, "SpoilTotals")
    assert (code, '"nothing" not found' in text) == (Code.FAILED_PRECONDITION, True), text
    assert market.totals() == {}


def test_a_server_that_does_not_answer_is_told_of_within_seconds_and_asked_again(market: Market) -> None:
    market.sell(30)
    name = market.begin(engine="spark")
    with market.worker(batches_spark=f"sc://127.0.0.1:{free_port()}"):
        until(lambda: market.metadata(name).attempt >= 2)
    assert "the Spark of ENTRESOL_BATCHES_SPARK failed" in market.generations()[0]["error"]
    assert "Connection refused" in market.generations()[0]["error"]


def test_an_address_that_is_none_is_told_at_once(market: Market) -> None:
    market.sell(30)
    with market.worker(batches_spark="spark.example.com"):
        code, text = failure(market, "SumTotals")
    assert (code, "ENTRESOL_BATCHES_SPARK is no address" in text) == (Code.FAILED_PRECONDITION, True), text


def test_a_server_whose_python_is_not_ours_is_told_with_the_remedy(market: Market, tmp_path: Path) -> None:
    market.sell(30)
    other = Spark(tmp_path, python=str(Path(sys.base_prefix, "bin", "python3")), tries=1)
    assert shutil.which(other.python)
    other.start()
    try:
        with market.worker(batches_spark=other.address):
            code, text = failure(market, "SumTotals")
    finally:
        other.kill()
    assert (code, "with entresol[spark]" in text) == (Code.FAILED_PRECONDITION, True), text
