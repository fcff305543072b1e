"""The part of the tour that is about jobs: a report that one makes of clicks, and a schedule of two schedulers."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from entresol.cli.tour import Step, Tour, reply_of
from entresol.config import Settings, environment_with
from entresol.schedules.by_hand import next_time
from entresol.service.registry import Schedule
from entresol.service.schedules import read_schedule
from entresol.storage.timetable import TickState, Timetable
from entresol.transport.caller import Answer

CLICKS = "stories.v1.ClickService"
REFERRERS = "stories.v1.ReferrerService"
SUGGESTIONS = "stories.v1.SuggestionService"
OPERATIONS = "google.longrunning.Operations"
COUNT = f"{REFERRERS}.CountReferrers"
READERS, STORIES_OF_READER = 100, 10
READ_STORIES = 200
DONE_WITHIN_S = 30.0
POLL_S = 0.02
SCHEDULE = "demo"
TICKS = 3  # before a scheduler is killed, and again behind that


async def walk(tour: Tour) -> None:
    """Take the steps.

    Raises:
        TourError: a step did not show what it promises.
    """
    readers = await _follow_links(tour)
    if not readers:
        tour.warn("None of the best stories has a link: there is nothing to make a report of.")
        return
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    await _count_referrers(tour, day, len(readers) * STORIES_OF_READER)
    await _suggest(tour, day, readers[0])
    await _keep_time(tour, day)


async def _follow_links(tour: Tour) -> list[str]:
    """Let readers go from one of the best stories to the next, and return them; nobody where none has a link."""
    listed = await tour.call("ListStories", page_size=READ_STORIES, order_by="score desc")
    stories: list[Any] = [story for story in reply_of(listed).stories if story.url]
    if not stories:
        return []
    readers = list(dict.fromkeys(story.author for story in stories))[:READERS]
    # Each reads on from one story to the next, and who comes behind begins one later: so they have much in common.
    requests = [
        {
            "parent": stories[(number + step) % len(stories)].name,
            "click": {"visitor": reader, "referrer": stories[(number + step - 1) % len(stories)].url},
        }
        for number, reader in enumerate(readers)
        for step in range(STORIES_OF_READER)
    ]
    answer = await tour.call("BatchCreateClicks", service=CLICKS, requests=requests)
    tour.note(f"{len(requests):,} clicks on links", answer, "one COPY into the partition of today")
    return readers


async def _count_referrers(tour: Tour, day: str, clicks: int) -> None:
    """Begin a job, poll its operation until it is done, and read what it made."""
    begun = await tour.call("CountReferrers", service=REFERRERS, key=day)
    name = _operation(begun)
    tour.note("begin a report: a job, and its operation at once", begun, name)
    started = time.perf_counter()
    polls = await _done(tour, name)
    ms = (time.perf_counter() - started) * 1000
    tour.add(Step("poll it until it is done", "a worker", round(ms, 1), f"{polls} polls"))
    listed = await tour.call(
        "ListReferrers", service=REFERRERS, parent=f"days/{day}", order_by="visits desc", page_size=1000
    )
    referrers: list[Any] = list(reply_of(listed).referrers)
    visits = sum(one.visits for one in referrers)
    tour.require(visits == clicks, f"the report has {visits} visits, not {clicks}")
    best = f"most came from {referrers[0].name.rpartition('/')[2]}: {referrers[0].visits}"
    tour.note("visits by referring site", listed, f"{len(referrers)} sites; {best}")


async def _suggest(tour: Tour, day: str, reader: str) -> None:
    """Make an index of what was read together, and ask it for one reader."""
    started = time.perf_counter()
    name = _operation(await tour.call("RelateStories", service=SUGGESTIONS, key=day))
    await _done(tour, name)
    ms = (time.perf_counter() - started) * 1000
    tour.add(Step("make an index of what is read together", "a worker", round(ms, 1), name))
    suggested = await tour.call("SuggestStories", service=SUGGESTIONS, user=reader)
    titles = [story.title for story in reply_of(suggested).stories]
    tour.note(f"suggest stories to {reader}", suggested, f"{len(titles)}; {titles[0] if titles else 'none'}")


def _operation(answer: Answer) -> str:
    return str(reply_of(answer).name)


async def _done(tour: Tour, name: str) -> int:
    """Poll an operation until it is done, and return how often."""
    polls = 0
    async with asyncio.timeout(DONE_WITHIN_S):
        while True:
            polls += 1
            told = await tour.call("GetOperation", service=OPERATIONS, name=name)
            if reply_of(told).done:
                tour.require(reply_of(told).HasField("response"), f"{name} failed")
                return polls
            await asyncio.sleep(POLL_S)


async def _keep_time(tour: Tour, day: str) -> None:
    """Let a schedule tick each second for two schedulers, of which one is killed."""
    platform = tour.stack.platform
    timetable, policy = Timetable(platform.pools), f"/{REFERRERS}/CountReferrers"
    schedule = read_schedule(
        platform.model,
        Schedule(
            SCHEDULE, COUNT, "every 1s", "UTC", {"key": day}, "allow", "all", 100, 0.0, None, None, ("", 0)
        ),
    )
    queue = platform.model.methods[policy].job
    assert queue is not None, "it begins a job"
    async with _another_worker(tour.stack.settings, queue.queue) as worker:
        tour.require(
            await timetable.create(schedule, next_time(schedule, await timetable.now())),
            "it is there already",
        )
        try:
            before = await _ticks(timetable, TICKS)
            worker.kill()
            started = time.perf_counter()
            ticks = await _ticks(timetable, len(before) + TICKS)
            ms = (time.perf_counter() - started) * 1000
        finally:
            await timetable.delete(SCHEDULE)
    times = sorted(tick.first_time for tick in ticks)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    tour.require(set(gaps) == {1.0}, f"a schedule of every second ticked after {gaps} s")
    tour.add(
        Step(
            "kill one of two schedulers",
            "the other",
            round(ms, 1),
            f"{len(ticks)} ticks, a second apart, none lost, none twice",
        )
    )


async def _ticks(timetable: Timetable, count: int) -> list[TickState]:
    """Return the ticks of the schedule once there are so many."""
    far = (datetime.max.replace(tzinfo=UTC), 0)
    async with asyncio.timeout(DONE_WITHIN_S):
        while True:
            ticks = await timetable.ticks(SCHEDULE, far)
            if len(ticks) >= count:
                return ticks
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _another_worker(settings: Settings, queue: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Give a worker, which is a scheduler too, in a process of its own."""
    command = (sys.executable, "-m", "entresol.cli.main", "work", "--queue", queue)
    variables: Mapping[str, str] = environment_with(
        protos=settings.protos,
        functions=settings.functions,
        database_write=settings.database_write,
        database_read=" ".join(settings.database_read),
        cache_url=settings.cache_url,
        admin_listen="",  # the demo has it
    )
    process = await asyncio.create_subprocess_exec(
        *command, env=variables, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DONE_WITHIN_S):
            await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
