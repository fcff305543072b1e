"""The news site's own batch: visits for each site and day, on two engines, shown by Get and List."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.integration.batches.conftest import until
from tests.integration.jobs.conftest import ENTRESOL, environment

from entresol.testing.platforms import ServedPlatform

DAY = "2026-01-31"
SERVICE = "stories.v1.ReferrerService"
ADDRESSES = [
    "https://www.Example.com/a?b=c",
    "http://example.com:8080#top",
    "HTTPS://ann:secret@News.Example.org?x",
    "https://example.com",
    "http://www.www.net/",
    "android-app://com.example.reader/",
    "https://sub.example.com/a@b",
    "",
    "no address",
    "https://",
    "http://[::1]/x",
    "https://b\xfccher.example/x",
    "http://under_score.example/",
    "https://.../",
    "ftp://files.example.com/a\nb",
]


def site(address: str) -> str:
    """Return what a reader of Python would call the site; "" for none."""
    scheme, found, _ = address.partition("://")
    host = (urlsplit(address).hostname or "") if found and scheme[:1].isalpha() else ""
    is_plain = host.isascii() and all(letter.isalnum() or letter in ".-" for letter in host)
    return host.removeprefix("www.") if is_plain and any(map(str.isalnum, host)) else ""


async def _click(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO users (name) VALUES ('users/ann')")
        await connection.execute("INSERT INTO stories (name, author) VALUES ('stories/1', 'users/ann')")
        clicks = [
            (f"stories/1/clicks/c{place}-{hour}", address, hour)
            for place, address in enumerate(ADDRESSES)
            for hour in range(-2, 27)
        ]
        await connection.executemany(
            f"""INSERT INTO clicks (name, parent, referrer, create_time)
            VALUES ($1, 'stories/1', $2, '{DAY} 00:00Z'::timestamptz + $3 * interval '1 hour')""",
            clicks,
        )
    finally:
        await connection.close()


EXPECTED = Counter(found for address in ADDRESSES if (found := site(address)) for _ in range(24))


def counted(platform: ServedPlatform, engine: str, **changes: str) -> dict[str, int]:
    """Click, count on an engine, and return the visits that readers are shown, the most first."""
    asyncio.run(_click(platform.database.write_url))
    told = {f"ENTRESOL_{name.upper()}": value for name, value in changes.items()}
    with subprocess.Popen(
        [ENTRESOL, "work"], env=environment(platform.running.settings) | told, stdout=subprocess.PIPE
    ) as worker:
        try:
            name = platform.call(f"{SERVICE}.CountReferrers", key=DAY, engine=engine).name
            until(lambda: _operation(platform, name).done, 60)
        finally:
            worker.terminate()
    assert not _operation(platform, name).error.message
    reply = platform.call(f"{SERVICE}.ListReferrers", parent=f"days/{DAY}", order_by="visits desc")
    return {one.name.rpartition("/")[2]: one.visits for one in reply.referrers}


@pytest.mark.parametrize("engine", ["sql", "duckdb"])
def test_visits_of_a_day_are_counted_by_site(platform: ServedPlatform, engine: str) -> None:
    found = counted(platform, engine)
    assert found == EXPECTED
    assert list(found.values()) == sorted(EXPECTED.values(), reverse=True)
    one = platform.call(f"{SERVICE}.GetReferrer", name=f"days/{DAY}/referrers/example.com")
    assert one.visits == 3 * 24


def test_a_day_that_nobody_clicked_on_is_published_empty(platform: ServedPlatform) -> None:
    with subprocess.Popen(
        [ENTRESOL, "work"], env=environment(platform.running.settings), stdout=subprocess.PIPE
    ) as worker:
        try:
            name = platform.call(f"{SERVICE}.CountReferrers", key=DAY).name
            until(lambda: _operation(platform, name).done)
        finally:
            worker.terminate()
    assert not _operation(platform, name).error.message
    assert not platform.call(f"{SERVICE}.ListReferrers", parent=f"days/{DAY}").referrers


def _operation(platform: ServedPlatform, name: str) -> Any:
    return platform.call("google.longrunning.Operations.GetOperation", name=name)
