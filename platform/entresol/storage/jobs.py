"""Jobs in PostgreSQL: put in with a caller's transaction, claimed, reported on and ended by whoever holds the token.

Every statement is one round trip and stands in `queries/jobs`. An attempt is known by its job and the token of its
claim: what it says when the token is no longer the job's changes nothing, and the answer lacks it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

from entresol.schema.model import JobLimit
from entresol.storage.catalog import read_query
from entresol.storage.connections import Record
from entresol.storage.job_ids import time_of
from entresol.storage.new_jobs import Lane
from entresol.storage.pools import Pools
from entresol.storage.sql import Statement
from entresol.storage.sqlstate import translated
from entresol.storage.wakeups import Wakeups

_Attempts = Sequence["Attempt"]
LAST = uuid.UUID(int=2**128 - 1)  # behind every id
DEAD_MAX = 1000  # that are retried or purged in one transaction


class Attempt(NamedTuple):
    """One claim of a job: nobody else has this token."""

    id: uuid.UUID
    token: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that was claimed. `number` is 1 for the first attempt."""

    attempt: Attempt
    lane: int
    kind: str
    number: int
    attempts_max: int
    timeout_s: float
    caller: str
    trace: str
    request: bytes
    checkpoint: bytes | None
    tick_time: datetime | None = None  # of the schedule that put it in
    waited_s: float = 0.0  # since it was ready
    seen: int = 0  # a position in the log that is not before the commit that put it in
    after: Sequence[uuid.UUID] | None = None  # jobs that were over before it was ready
    is_again: bool = False  # somebody has claimed it before


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is ready in a queue: how many jobs, up to 1,000 of each lane, and how long the oldest has been so."""

    ready: int
    ready_s: float


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane as a survey found it; nothing of it is ready below the position `floor`."""

    id: int
    lane: Lane
    has_jobs: bool
    floor: int


Share = tuple[LaneState, int]  # of a claim's room


@dataclass(frozen=True, slots=True)
class JobState:
    """A job as it is, or as it ended. `state` is waiting, ready, running, dead, succeeded or cancelled."""

    id: uuid.UUID
    queue: str
    kind: str
    state: str
    create_time: datetime
    start_time: datetime | None
    done_time: datetime | None
    attempt: int
    attempts_max: int | None  # None once it is over
    percent: int
    step: str
    is_cancelled: bool
    caller: str
    result: bytes | None
    failure: bytes | None


@dataclass(frozen=True, slots=True)
class Details:
    """What operators are told of a job beside its state. Of one that is over nothing is kept but that."""

    request: bytes | None = None
    failures: Sequence[bytes] = ()  # the first one first
    trace: str = ""  # of who put it in, as a W3C header
    host: str | None = None  # of the worker that it runs on
    process: int | None = None


@dataclass(frozen=True, slots=True)
class Depth:
    """How many jobs of a queue are in each state, for how long the oldest one has been ready, and what is paused."""

    queue: str
    waiting: int
    ready: int
    running: int
    dead: int
    ready_s: float
    is_paused: bool
    kinds_paused: list[str]
    workers: int  # that serve it


class Jobs:
    """The queue, on the primary of the cluster that it is in."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools.queue
        self._wakeups = Wakeups(pools)

    async def survey(
        self, queues: Collection[str], kinds: Collection[str], floors: Mapping[int, int]
    ) -> list[LaneState]:
        """Return the lanes of these queues and kinds; `floors` are those of the last survey, by lane."""
        records = await self._run("survey", [*queues], [*kinds], [*floors], [*floors.values()])
        return [LaneState(record[0], Lane(*record[1:5]), record[5], record[6]) for record in records]

    async def backlog(self, floors: dict[int, int]) -> dict[str, Backlog]:
        """Return what is ready, by queue. `floors`, by lane, is where to look from: kept from one look to the next."""
        found: dict[str, Backlog] = {}
        for lane, queue, ready, ready_s, floor in await self._run("backlog", [*floors], [*floors.values()]):
            floors[lane] = floor
            before = found.get(queue, Backlog(0, 0.0))
            found[queue] = Backlog(before.ready + ready, max(before.ready_s, ready_s))
        return found

    async def claim(self, worker: uuid.UUID, wanted: Sequence[Share]) -> list[Claimed]:
        """Claim up to so many jobs of each lane; none for a worker whose lease is over."""
        return await self._claim("claim", worker, *_shares(wanted))

    async def claim_limited(
        self, worker: uuid.UUID, wanted: Sequence[Share], limits: Mapping[str, tuple[JobLimit, int]]
    ) -> list[Claimed]:
        """As `claim`, of kinds with limits, which `add_limits` has added, and of each at most so many."""
        kinds = [lane.lane.kind for lane, _ in wanted]
        rooms = [room for _, room in limits.values()]
        parameters = (
            *_shares(wanted),
            kinds,
            [*limits],
            rooms,
            *_limits(limit for limit, _ in limits.values()),
        )
        return await self._claim("claim_limited", worker, *parameters)

    async def add_limits(self, limits: Mapping[str, JobLimit]) -> None:
        """Make what limits are kept by, by kind, of which there may be some already."""
        if limits:
            await self._run("add_limits", [*limits], *_limits(limits.values()))

    async def claim_relayed(
        self, worker: uuid.UUID, ids: Sequence[uuid.UUID], kinds: Sequence[str]
    ) -> list[Claimed]:
        """Claim those of the jobs that are ready and of these kinds; none for a worker whose lease is over."""
        return await self._claim("claim_relayed", worker, [*ids], [*kinds])

    async def survey_relay(self, queue: str, floors: Mapping[int, int]) -> list[LaneState]:
        """Return the lanes of a queue, as `survey` does, by what was not relayed."""
        records = await self._run("relay_survey", queue, [*floors], [*floors.values()])
        return [LaneState(record[0], Lane(*record[1:5]), record[5], record[6]) for record in records]

    async def relay(self, wanted: Sequence[Share]) -> list[uuid.UUID]:
        """Mark up to so many jobs of each lane as relayed, and return their ids."""
        return [record["id"] for record in await self._run("relay", *_shares(wanted))]

    async def relayed(self, queue: str) -> int:
        """Return how many jobs are marked as relayed, and ready."""
        (record,) = await self._run("relayed", queue)
        return int(record[0])

    async def undo_relay(self, ids: Sequence[uuid.UUID]) -> None:
        """Let jobs be relayed again."""
        await self._run("relay_undo", [*ids])

    async def relay_again(self, queue: str, after_s: float) -> int:
        """Let those be relayed again that were so long ago; return how many."""
        return len(await self._run("relay_again", queue, after_s))

    async def finish(self, ends: Sequence[tuple[Attempt, str, bytes | None]]) -> set[uuid.UUID]:
        """End attempts as succeeded, failed or cancelled, with a result; return the jobs that are now over."""
        attempts, outcomes, results = zip(*ends, strict=True)
        records = await self._run("finish", *_columns(attempts), outcomes, results)
        if any(record["is_awaited"] for record in records):
            self._wakeups.tell()
        return {record["id"] for record in records}

    async def fail(self, failures: Sequence[tuple[Attempt, float | None, bytes]]) -> set[uuid.UUID]:
        """Note that attempts failed; each is tried again in so many seconds, or, of None, is dead."""
        attempts, retries, texts = zip(*failures, strict=True)
        return await self._change("fail", attempts, retries, texts)

    async def release(self, attempts: _Attempts) -> set[uuid.UUID]:
        """Hand jobs back unfinished."""
        return await self._change("release", attempts)

    async def report(
        self, reports: Sequence[tuple[Attempt, int, str | None, bytes | None]]
    ) -> set[uuid.UUID]:
        """Note percent, step and checkpoint of attempts, of each what is not None."""
        attempts, percents, steps, checkpoints = zip(*reports, strict=True)
        return await self._change("report", attempts, percents, steps, checkpoints)

    async def look(self, worker: uuid.UUID) -> dict[Attempt, bool]:
        """Return the attempts that are a worker's own, each with whether somebody asked that it ends."""
        records = await self._run("look", worker)
        return {Attempt(record["id"], record["token"]): record["is_cancelled"] for record in records}

    async def promote(self) -> int:
        """Let jobs whose time has come be ready; return how many, of at most a thousand."""
        ready = [record for record in await self._run("settle", None) if record["is_ready"]]
        return len(ready) + len(await self._run("promote"))

    async def join(
        self, worker: uuid.UUID, host: str, process: int, queues: Sequence[str], *, lease_s: float
    ) -> None:
        """Become a worker, for so many seconds."""
        await self._run("join", worker, host, process, [*queues], lease_s)

    async def beat(self, worker: uuid.UUID, *, lease_s: float) -> bool:
        """Stay a worker for so many seconds from now; False when it is none any more."""
        return bool(await self._run("beat", worker, lease_s))

    async def leave(self, worker: uuid.UUID) -> None:
        """Be a worker no more; what it ran must be over or handed back."""
        await self._run("leave", worker)

    async def sweep(self, failure: bytes) -> int:
        """Take back what workers ran whose lease is over, and return how many; `failure` says so in their jobs."""
        return await self._sweep(failure)

    async def cancel(self, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """Cancel jobs that are not over: those that have not begun at once, others as soon as they look."""
        return {record["id"] for record in await self._run("cancel", [*ids])}

    async def keep(self, days: int) -> None:
        """Forget jobs that were over more than so many days ago."""
        await self._run("keep", days)

    async def read(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        """Return jobs by their ids; who is missing is not there, or was over long ago."""
        records = await self._run("read", [*ids], min(map(time_of, ids)))
        return {record["id"]: JobState(**record) for record in records}

    async def page(
        self, *, queue: str = "", kind: str = "", state: str = "", after: uuid.UUID = LAST, limit: int = 100
    ) -> list[JobState]:
        """Return jobs behind the id `after`, the newest first, of whatever is given."""
        records = await self._run("list", queue, kind, state, after, limit)
        return [JobState(**record) for record in records]

    async def details(self, id_: uuid.UUID) -> Details:
        """Return what there is to tell of a job that is not over, or is dead."""
        records = await self._run("details", id_)
        return Details(*records[0]) if records else Details()

    async def retry(
        self, *, queue: str = "", kind: str = "", ids: Sequence[uuid.UUID] | None = None
    ) -> set[uuid.UUID]:
        """Let dead jobs be ready again, of whatever is given, with as many attempts as they had at first."""
        return await self._change_dead("retry", queue, kind, ids)

    async def purge(
        self, *, queue: str = "", kind: str = "", ids: Sequence[uuid.UUID] | None = None
    ) -> set[uuid.UUID]:
        """Delete dead jobs, of whatever is given."""
        return await self._change_dead("purge", queue, kind, ids)

    async def _change_dead(
        self, query: str, queue: str, kind: str, ids: Sequence[uuid.UUID] | None
    ) -> set[uuid.UUID]:
        """Change dead jobs, `DEAD_MAX` in a transaction: each is looked at once, whatever becomes of it meanwhile."""
        done, before = set[uuid.UUID](), LAST
        while True:
            records = await self._run(query, queue, kind, ids, before, DEAD_MAX)
            done |= {record["id"] for record in records if record["is_done"]}
            if len(records) < DEAD_MAX:
                return done
            before = min(record["id"] for record in records)

    async def depths(self) -> list[Depth]:
        """Return what waits and runs, by queue."""
        return [Depth(*record) for record in await self._run("depths")]

    async def pause(self, queue: str, kind: str = "") -> bool:
        """Let no job of a queue begin, or none of one kind in it; False when that is so already."""
        return bool(await self._run("pause", queue, kind))

    async def knows(self, queue: str, kind: str = "") -> bool:
        """Tell whether a job was ever put into a queue, or one of a kind."""
        return bool((await self._run("has_lane", queue, kind))[0][0])

    async def resume(self, queue: str, kind: str = "") -> bool:
        """Undo what `pause` did of the same; False when it was not done."""
        return bool(await self._run("resume", queue, kind))

    async def _claim(self, query: str, *parameters: object) -> list[Claimed]:
        records = await self._run(query, *parameters)
        return [Claimed(Attempt(record[0], record[1]), *record[2:]) for record in records]

    async def _sweep(self, failure: bytes, ids: Collection[uuid.UUID] | None = None) -> int:
        return len(await self._run("sweep", failure, ids))

    async def _change(self, query: str, attempts: _Attempts, *columns: Sequence[object]) -> set[uuid.UUID]:
        return {record["id"] for record in await self._run(query, *_columns(attempts), *columns)}

    async def _run(self, query: str, *parameters: object) -> list[Record]:
        statement = _statement(query, *parameters)
        deadline = self._pools.deadline(None)
        with translated({}):
            async with self._pools.write(timeout_s=deadline.left_s()) as connection:
                return await connection.fetch(
                    statement.text, *statement.parameters, timeout=deadline.left_s()
                )


def _shares(wanted: Sequence[Share]) -> tuple[list[int], list[int], list[int]]:
    return [lane.id for lane, _ in wanted], [lane.floor for lane, _ in wanted], [room for _, room in wanted]


def _limits(limits: Iterable[JobLimit]) -> tuple[Sequence[object], ...]:
    return tuple(zip(*((limit.concurrency, limit.rate, limit.burst) for limit in limits), strict=True))


def _columns(attempts: _Attempts) -> tuple[list[uuid.UUID], list[int]]:
    return [attempt.id for attempt in attempts], [attempt.token for attempt in attempts]


def _statement(query: str, *parameters: object) -> Statement:
    return Statement(_text(query), parameters)


@cache
def _text(query: str) -> str:
    return read_query(f"jobs/{query}")
