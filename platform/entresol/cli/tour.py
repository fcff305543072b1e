"""The tour of the demo: what the platform does, one step at a time, each with who answered and how long it took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from entresol.cli.stack import Stack
from entresol.errors import EntresolError
from entresol.service.call import ANSWERED_BY_KEY, SESSION_KEY
from entresol.transport.caller import Answer, Caller

STORIES = "stories.v1.StoryService"
REPLICA_DELAY_MS = 400
SEEN_WITHIN_S = 10.0
READS_WITHOUT_A_REPLICA = 40


class TourError(EntresolError):
    """A step of the tour did not show what it promises."""

    reason = "TOUR_FAILED"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was done, who answered, and how many milliseconds the caller waited."""

    step: str
    answered_by: str
    ms: float
    detail: str = ""

    def facts(self) -> dict[str, object]:
        """Return the step as JSON."""
        return asdict(self)


@dataclass(slots=True)
class Tour:
    """Walks through a running platform as its client; `hear` is told of every step, `warn` of faults to come."""

    stack: Stack
    caller: Caller
    hear: Callable[[Step], None]
    warn: Callable[[str], None]
    steps: list[Step] = field(default_factory=list)
    session: str = ""

    async def walk(self) -> list[Step]:
        """Take every step and return them.

        Raises:
            TourError: a step did not show what it promises.
        """
        story = await self.best_stories()
        await self.cold_and_cached(story)
        await self.written_and_read(story)
        await self.changed_around_the_platform(story)
        await self.without_a_replica()
        return self.steps

    async def best_stories(self) -> str:
        """List, and return the name of a story."""
        await self._replayed()
        answer = await self.call("ListStories", page_size=25, order_by="score desc", filter="score >= 10")
        stories = list(reply_of(answer).stories)
        self.note("list the 25 best stories", answer, f"best: {stories[0].title}")
        return str(stories[-1].name)

    async def cold_and_cached(self, name: str) -> None:
        """Read a record three times: from a replica, from the cache, and from the server's own copy."""
        cold = await self.call("GetStory", name=name)
        self.note("read one, cold", cold, _title(cold))
        # Once is enough, unless the relay was still busy with the stories that were loaded a moment ago.
        cached = await self._until(lambda: self.call("GetStory", name=name), lambda a: _by(a) == "cache")
        self.note("the same read, cached", cached, _title(cached))
        near = await self._until(lambda: self.call("GetStory", name=name), lambda a: _by(a) == "near")
        self.note("and once more", near, "a copy in the server itself, for at most a second")
        self.require(cold.reply == cached.reply == near.reply, "the cache answered with another story")

    async def written_and_read(self, name: str) -> None:
        """Write while the replicas lag, and read the write back at once."""
        for replica in self.stack.servers.replicas:
            await replica.set_delay(REPLICA_DELAY_MS)
        changed = await self.call(
            "UpdateStory", story={"name": name, "score": 1_000_000}, update_mask="score"
        )
        self.session = changed.trailing.get(SESSION_KEY, "")
        self.note(f"write its score, replicas {REPLICA_DELAY_MS} ms behind", changed, "1,000,000 points")
        read = await self.call("GetStory", name=name)
        self.note("read your write", read, f"{reply_of(read).score:,} points")
        self.require(read.reply == changed.reply, "the write was not visible to the next read")
        listed = await self.call("ListStories", page_size=1, order_by="score desc")
        self.note("a list that must show the write", listed, "no replica is new enough, so the primary")
        self.require(reply_of(listed).stories[0].name == name, "the list did not show the write")
        for replica in self.stack.servers.replicas:
            await replica.set_delay(0)

    async def changed_around_the_platform(self, name: str) -> None:
        """Update with psql, and read until the cache has let go of the old value."""
        started = time.perf_counter()
        title = "Changed by psql"
        await self.stack.servers.psql(f"UPDATE stories SET title = '{title}' WHERE name = '{name}'")  # noqa: S608 - its own
        ms = (time.perf_counter() - started) * 1000
        self.add(Step("change its title with psql", "psql", round(ms, 1)))
        started = time.perf_counter()
        answer = await self._until(lambda: self.call("GetStory", name=name), lambda a: _title(a) == title)
        ms = (time.perf_counter() - started) * 1000
        self.add(
            Step("read until it shows", _by(answer), round(ms, 1), "the relay took it from PostgreSQL's log")
        )

    async def without_a_replica(self) -> None:
        """Kill a replica, and read records that no cache holds: nobody notices."""
        answer = await self.call("ListStories", page_size=READS_WITHOUT_A_REPLICA, order_by="post_time desc")
        names = [story.name for story in reply_of(answer).stories]
        await self._replayed()
        self.warn("Now a replica is killed on purpose; the server warns of it, and reads go on:")
        await self.stack.servers.replicas[0].kill()
        started = time.perf_counter()
        answers = [await self.call("GetStory", name=name) for name in names]
        ms = (time.perf_counter() - started) * 1000 / max(1, len(answers))
        sources = sorted({_by(answer) for answer in answers})
        detail = f"{len(answers)} of {len(names)} cold reads answered; milliseconds each"
        self.add(Step("kill a replica and read on", ", ".join(sources), round(ms, 2), detail))

    async def call(
        self, method: str, *, service: str = STORIES, update_mask: str = "", **fields: Any
    ) -> Answer:
        """Call a method with the session so far."""
        path = f"{service}/{method}"
        metadata = {SESSION_KEY: self.session} if self.session else {}

        def call() -> Answer:
            request = dict(fields)
            message = self.caller.request(
                self.caller.method(path), [f"update_mask={update_mask}"] if update_mask else []
            )
            return self.caller.call(path, self.caller.filled(message, request), metadata)

        return await asyncio.to_thread(call)

    async def _replayed(self) -> None:
        """Return when the server knows that every replica has replayed all that was written."""
        position = await self.stack.servers.primary.position()
        deadline = time.monotonic() + SEEN_WITHIN_S
        while any(
            server.role == "replica" and server.replayed < position
            for server in self.stack.platform.pools.servers()
        ):
            self.require(time.monotonic() < deadline, f"a replica is {SEEN_WITHIN_S} s behind")
            await asyncio.sleep(0.005)

    async def _until(self, ask: Callable[[], Awaitable[Answer]], holds: Callable[[Answer], bool]) -> Answer:
        deadline = time.monotonic() + SEEN_WITHIN_S
        while True:
            answer = await ask()
            if holds(answer):
                return answer
            self.require(time.monotonic() < deadline, f"not seen within {SEEN_WITHIN_S} s")
            await asyncio.sleep(0.005)

    def note(self, text: str, answer: Answer, detail: str) -> None:
        """Tell of a step that was a call."""
        self.add(Step(text, _by(answer), round(answer.duration_s * 1000, 2), detail))

    def add(self, step: Step) -> None:
        """Tell of a step."""
        self.steps.append(step)
        self.hear(step)

    def require(self, holds: bool, otherwise: str) -> None:
        """Raise TourError unless a step showed what it promises."""
        if not holds:
            raise TourError(otherwise)


def _by(answer: Answer) -> str:
    return answer.trailing.get(ANSWERED_BY_KEY, "")


def _title(answer: Answer) -> str:
    return str(reply_of(answer).title)


def reply_of(answer: Answer) -> Any:
    """Return the reply, whose class is made from what the server's reflection says."""
    return answer.reply
