"""Batches of the market: totals of a day, by SQL, by functions that take their time, and by SQL that is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import entresol

SERVICE = "market.v1.MarketService"
WHAT: dict[str, Any] = {
    "source": "market.v1.Sale",
    "window": "sell_time",
    "result": "market.v1.Total",
    "scope": "days/{key}",
}
REDUCE = """
    SELECT 'days/' || key || '/totals/' || shop AS name, sum(amount) AS amount, sum(sales) AS sales,
        max(last_time) AS last_time
    FROM mapped, run GROUP BY key, shop
"""
MAP = "SELECT shop, sum(amount) AS amount, count(*) AS sales, max(sell_time) AS last_time FROM input GROUP BY shop"
Part = tuple[int, int, datetime]


def each(row: Any) -> Iterable[tuple[tuple[str, str], Part]]:
    """Give what one sale adds to its shop's total."""
    time.sleep(row["pause_s"])
    yield (f"{row['sell_time']:%Y-%m-%d}", row["shop"]), (row["amount"], 1, row["sell_time"])


def added(key: tuple[str, str], parts: list[Part]) -> dict[str, object]:
    """Return the total of a shop."""
    amounts, sales, times = zip(*parts, strict=True)
    name = f"days/{key[0]}/totals/{key[1]}"
    return {"name": name, "amount": sum(amounts), "sales": sum(sales), "last_time": max(times)}


entresol.batch("totals", method=f"{SERVICE}.SumTotals", map=MAP, reduce=REDUCE, **WHAT)
entresol.batch("added", method=f"{SERVICE}.AddTotals", map=each, reduce=added, **WHAT)
entresol.batch(
    "spoilt", method=f"{SERVICE}.SpoilTotals", map=MAP, reduce="SELECT nothing FROM mapped", **WHAT
)
