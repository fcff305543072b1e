"""What readers of a story read as well: the same on every engine, as counted by hand, and joined for one user."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations
from math import floor, sqrt
from typing import Any

import asyncpg
import pytest
from google.protobuf.message_factory import GetMessageClass
from tests.integration.batches.conftest import Cluster, until
from tests.integration.jobs.conftest import ENTRESOL, environment

from entresol.errors import Code
from entresol.service.methods import list_query
from entresol.service.status import CallFailedError
from entresol.storage.rows import RowCodec
from entresol.storage.sql import TableSql
from entresol.storage.sql_page import select_page
from entresol.testing.platforms import ServedPlatform

DAY = "2026-01-31"
SERVICE = "stories.v1.SuggestionService"
ENGINES = ("sql", "duckdb", "dask")
KEPT, SHOWN = 20, 10
HOURS_OF_WINDOW = 7 * 24
Suggestions = Mapping[str, Sequence[tuple[str, int]]]


@dataclass(frozen=True)
class Click:
    """A visitor, "" for nobody known, follows a story so many hours behind the window's start."""

    visitor: str
    story: str
    hour: int


def related(clicks: Sequence[Click]) -> Suggestions:
    """Return what a reader of Python would suggest for each story, the nearest first."""
    last: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for click in clicks:
        if click.visitor and 0 <= click.hour < HOURS_OF_WINDOW:
            stories = last[click.visitor]
            stories[click.story] = max(click.hour, stories.get(click.story, 0))
    kept = [sorted(stories, key=lambda one: (-stories[one], one))[:KEPT] for stories in last.values()]
    visitors = Counter(story for stories in kept for story in stories)
    both = Counter(pair for stories in kept for pair in permutations(stories, 2))
    near: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for (story, other), count in both.items():
        if count > 1:
            weight = floor(1000 * count / sqrt(visitors[story] * visitors[other]))
            near[story].append((-weight, -count, other))
    return {
        story: [(other, -weight) for weight, _, other in sorted(all_)[:SHOWN]] for story, all_ in near.items()
    }


async def _follow(url: str, clicks: Sequence[Click]) -> None:
    stories = sorted({click.story for click in clicks})
    visitors = sorted({click.visitor for click in clicks if click.visitor})
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO users (name) VALUES ('users/author')")
        await connection.executemany(
            "INSERT INTO users (name) VALUES ($1)", [(f"users/{name}",) for name in visitors]
        )
        await connection.executemany(
            "INSERT INTO stories (name, title, author) VALUES ($1, $1, 'users/author')",
            [(f"stories/{name}",) for name in stories],
        )
        await connection.executemany(
            f"""INSERT INTO clicks (name, parent, visitor, create_time)
            VALUES ($1, $2, $3, '{DAY} 00:00Z'::timestamptz - interval '6 days' + $4 * interval '1 hour')""",
            [
                (
                    f"stories/{click.story}/clicks/{number}",
                    f"stories/{click.story}",
                    f"users/{click.visitor}" if click.visitor else None,
                    click.hour,
                )
                for number, click in enumerate(clicks)
            ],
        )
    finally:
        await connection.close()


def follow(platform: ServedPlatform, clicks: Sequence[Click]) -> None:
    """Let there be stories, visitors and their clicks."""
    asyncio.run(_follow(platform.database.write_url, clicks))


@contextmanager
def worker(platform: ServedPlatform, **changes: str) -> Iterator[None]:
    """Let a worker run jobs for the length of the block."""
    told = {f"ENTRESOL_{name.upper()}": value for name, value in changes.items()}
    with subprocess.Popen(
        [ENTRESOL, "work"], env=environment(platform.running.settings) | told, stdout=subprocess.PIPE
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def relate(platform: ServedPlatform, engine: str) -> Any:
    """Make the suggestions anew and return the run."""
    name = platform.call(f"{SERVICE}.RelateStories", key=DAY, engine=engine).name

    def operation() -> Any:
        return platform.call("google.longrunning.Operations.GetOperation", name=name)

    until(lambda: operation().done, 60)
    assert not operation().error.message
    pool = platform.running.platform.model.pool
    run = GetMessageClass(pool.FindMessageTypeByName("entresol.ops.v1.BatchRun"))
    return run.FromString(operation().response.value)


def shown(platform: ServedPlatform) -> Suggestions:
    """Return what readers are shown, by story."""
    page = platform.call(f"{SERVICE}.ListSuggestions", page_size=1000)
    return {
        one.name.removeprefix("suggestions/"): [
            (story.removeprefix("stories/"), weight)
            for story, weight in zip(one.stories, one.weights, strict=True)
        ]
        for one in page.suggestions
    }


def suggested(platform: ServedPlatform, user: str, **more: Any) -> list[str]:
    """Return the ids of the stories that are suggested to a user."""
    reply = platform.call(f"{SERVICE}.SuggestStories", user=f"users/{user}", **more)
    return [story.name.removeprefix("stories/") for story in reply.stories]


FEW = [
    Click(visitor, story, 10 * place)
    for place, (visitor, story) in enumerate(
        pair.split()
        for pair in ("ann a", "ann b", "ann c", "ben b", "ben a", "ben a", "cal c", "cal a", "dan a")
    )
]


def test_a_story_suggests_those_that_its_visitors_followed_too_and_only_within_the_seven_days(
    platform: ServedPlatform,
) -> None:
    beside = [Click("dan", "c", -1), Click("dan", "c", HOURS_OF_WINDOW), Click("", "b", 5), Click("", "c", 6)]
    follow(platform, [*FEW, *beside])
    with worker(platform):
        run = relate(platform, "sql")
    # Four followed a, two of them b and two c: 2 / sqrt(4 * 2). That one followed b and c tells nothing.
    assert shown(platform) == {"a": [("b", 707), ("c", 707)], "b": [("a", 707)], "c": [("a", 707)]}
    assert (run.input_rows, run.output_rows) == (len(FEW), 3)


def test_every_engine_relates_as_plain_python_does(platform: ServedPlatform, cluster: Cluster) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    stories = [f"{prefix}{number}" for number in range(20) for prefix in ("s", "s-", "t0")]
    clicks = [
        Click(
            dice.choice(["", *(f"v{number}" for number in range(25))]),
            stories[min(int(dice.paretovariate(0.7)), len(stories)) - 1],
            dice.randrange(-24, HOURS_OF_WINDOW + 24),
        )
        for _ in range(1500)
    ]
    clicks += [Click(f"crawler-{number % 2}", story, number) for number, story in enumerate(stories)]
    expected = related(clicks)
    assert max(map(len, expected.values())) == SHOWN
    follow(platform, clicks)
    with worker(platform, batches_dask=cluster.address):
        for engine in ENGINES:
            asyncio.run(_execute(platform.database.write_url, "TRUNCATE suggestions"))
            run = relate(platform, engine)
            assert (run.engine, run.output_rows) == (engine, len(expected))
            assert _rows(platform.database.write_url) == expected, engine


def test_a_crawler_counts_no_more_than_the_stories_that_it_followed_last(platform: ServedPlatform) -> None:
    many = [f"s{number:03d}" for number in range(150)]
    follow(
        platform, [Click(crawler, story, place) for crawler in ("x", "y") for place, story in enumerate(many)]
    )
    with worker(platform):
        relate(platform, "sql")
    found = shown(platform)
    assert set(found) == set(many[-KEPT:])
    assert all(len(others) == SHOWN for others in found.values())


def test_only_what_changed_is_written(platform: ServedPlatform) -> None:
    follow(platform, FEW)
    with worker(platform):
        relate(platform, "sql")
        run = relate(platform, "duckdb")
        assert (run.inserted_rows, run.updated_rows, run.deleted_rows) == (0, 0, 0)
        asyncio.run(_execute(platform.database.write_url, "DELETE FROM clicks WHERE visitor = 'users/cal'"))
        run = relate(platform, "duckdb")
    # Of a, b and c, c is nobody's any more, and a has three visitors.
    assert (run.inserted_rows, run.updated_rows, run.deleted_rows) == (0, 2, 1)
    assert _rows(platform.database.write_url) == {"a": [("b", 816)], "b": [("a", 816)]}


def test_a_user_is_suggested_what_is_near_to_all_of_the_last_clicks(platform: ServedPlatform) -> None:
    follow(platform, [*FEW, Click("new", "b", 99)])
    with worker(platform):
        relate(platform, "sql")
    found = {user: suggested(platform, user) for user in ("dan", "ben", "cal", "ann", "new", "nobody")}
    # dan has followed a, ben and cal two, ann all, and a is near to b, which three have followed now.
    assert found == {"dan": ["c", "b"], "ben": ["c"], "cal": ["b"], "ann": [], "new": ["a"], "nobody": []}
    assert suggested(platform, "dan", count=1) == ["c"]
    platform.call("stories.v1.StoryService.DeleteStory", name="stories/c", force=True)
    assert suggested(platform, "dan", count=1) == ["b"]
    for user in ('x" OR visitor != "', "a/b", ""):
        with pytest.raises(CallFailedError) as refused:
            suggested(platform, user)
        assert refused.value.code is Code.INVALID_ARGUMENT


def test_suggestions_for_a_user_come_from_the_cache_and_not_from_their_table(
    platform: ServedPlatform,
) -> None:
    follow(platform, FEW)
    with worker(platform):
        relate(platform, "sql")

    def is_cached(story: str) -> bool:
        platform.call(f"{SERVICE}.GetSuggestion", name=f"suggestions/{story}")
        return platform.answered_by in ("near", "cache")

    until(lambda: is_cached("a") and is_cached("b"))
    assert suggested(platform, "dan") == ["b", "c"]
    asyncio.run(_execute(platform.database.write_url, "ALTER TABLE suggestions RENAME TO elsewhere"))
    assert suggested(platform, "dan") == ["b", "c"]
    assert suggested(platform, "ben") == ["c"]


def test_the_last_clicks_of_a_user_are_read_by_their_index(platform: ServedPlatform) -> None:
    many = [Click(f"v{number % 50}", f"s{number % 70}", number % HOURS_OF_WINDOW) for number in range(7000)]
    follow(platform, many)
    clicks = platform.running.platform.model.by_message["stories.v1.Click"]
    query = list_query(clicks, filter_='visitor = "users/v7"', order_by="create_time desc", size=20)
    statement = select_page(TableSql(RowCodec(clicks)), query)
    asyncio.run(_execute(platform.database.write_url, "ANALYZE clicks"))
    plan = "\n".join(
        row[0]
        for row in asyncio.run(
            _fetch(platform.database.write_url, f"EXPLAIN {statement.text}", *statement.parameters)
        )
    )
    assert "visitor_create_time" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "->  Sort" not in plan, plan


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _fetch(url: str, statement: str, *parameters: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement, *parameters)
    finally:
        await connection.close()


def _rows(url: str) -> Suggestions:
    """Return what the table has, by story."""
    return {
        name.removeprefix("suggestions/"): [
            (story.removeprefix("stories/"), weight) for story, weight in zip(stories, weights, strict=True)
        ]
        for name, stories, weights in asyncio.run(
            _fetch(url, "SELECT name, stories, weights FROM suggestions")
        )
    }
