"""A day of clicks for batches: zipf-like over sites, the same for the same seed, and what counts them by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import asyncpg
from tests.bench.rows import STATEMENT_TIMEOUT_S

from entresol.schema.model import Model
from entresol.service.batches import source_for
from entresol.service.registry import registry
from entresol.storage.sql_batch import pushed_down

STORIES = 500
SITES = 20_000
BATCH = "referrers"
BY_HAND = "referrers_by_hand"  # a table like that of the platform, without its trigger

# Most clicks are of few sites. Foreign keys are not asked: all stories are there.
FILL = """
INSERT INTO clicks (name, parent, visitor, referrer, create_time)
SELECT 'stories/s' || lpad(story::text, 8, '0') || '/clicks/c' || number, 'stories/s' || lpad(story::text, 8, '0'),
       'users/v' || visitor, 'https://www.site-' || site || '.example/articles/' || number % 1000 || '?from=feed',
       $4::timestamptz + span * interval '1 day'
FROM (SELECT number, floor(random() * $2)::int AS story, floor(random() * $1 / 5)::int AS visitor,
             floor($3 * power(random(), 4))::int AS site, random() AS span
      FROM generate_series(1, $1::integer) AS number) AS drawn
"""


def start_of(day: str) -> datetime:
    """Return when a day begins."""
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


async def fill(connection: asyncpg.Connection, day: str, clicks: int, seed: int) -> None:
    """Write so many clicks of a day, on stories that are there, and the table of who counts by hand."""
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(f"SELECT setseed({1 / (seed + 1)})")
        await connection.execute(FILL, clicks, STORIES, SITES, start_of(day), timeout=STATEMENT_TIMEOUT_S)
    await connection.execute(f"CREATE TABLE {BY_HAND} (LIKE referrers INCLUDING ALL)")
    await connection.execute("VACUUM ANALYZE clicks", timeout=STATEMENT_TIMEOUT_S)


def statement(model: Model, day: str) -> str:
    """Return the one statement that the platform pushes down for a day."""
    batch = registry.batches[BATCH]
    source = source_for(model, batch, batch.run_of(day, start_of(day)))
    assert isinstance(batch.map, str)
    assert isinstance(batch.reduce, str)
    return pushed_down(source, batch.map, batch.reduce, model.by_message[batch.result])


async def count_by_hand(url: str, text: str, day: str) -> float:
    """Replace the day's rows as one writes it by hand, in one transaction; return the seconds."""
    connection = await asyncpg.connect(url)
    try:
        started_s = time.perf_counter()
        async with connection.transaction():
            await connection.execute(f"DELETE FROM {BY_HAND} WHERE parent = $1", f"days/{day}")
            await connection.execute(
                f"INSERT INTO {BY_HAND} (name, visits, parent, row_version) "
                f"SELECT name, visits, 'days/{day}', 1 FROM ({text}) AS counted",
                timeout=STATEMENT_TIMEOUT_S,
            )
        return time.perf_counter() - started_s
    finally:
        await connection.close()
