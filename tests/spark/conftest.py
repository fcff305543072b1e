"""One Spark for all tests of a run, beside a market of each test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.batches.conftest import market, market_ready, queue_url
from tests.spark.server import Spark, missing

__all__ = ["market", "market_ready", "queue_url"]


@pytest.fixture(scope="session")
def one_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    if lack := missing():
        pytest.skip(lack)
    started = Spark(tmp_path_factory.mktemp("spark"))
    started.start()
    try:
        yield started
    finally:
        started.kill()


@pytest.fixture
def spark(one_spark: Spark) -> Spark:
    """Give a server that runs, though the test before may have killed it."""
    if one_spark.process is None or one_spark.process.poll() is not None:
        one_spark.start()
    return one_spark
