"""A worker: claims jobs of its queues, runs so many at once, and says how each attempt ended until it is heard."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from entresol import telemetry
from entresol.config import Settings
from entresol.errors import EntresolError, InvalidArgumentError, UnavailableError
from entresol.jobs.attempts import GRACE_S, Running, StoppedError, Why
from entresol.jobs.heart import Heart
from entresol.jobs.insist import insist
from entresol.jobs.kinds import DescribedError, Kinds, retry_s
from entresol.jobs.limits import look_s, open_lanes, rooms
from entresol.jobs.processes import Processes
from entresol.jobs.shares import shares, within
from entresol.jobs.watch import Gauges, watched
from entresol.life import Facts
from entresol.storage.jobs import Attempt, Claimed, Jobs, LaneState, Share
from entresol.storage.wakeups import listen
from entresol.turns import Turn

if TYPE_CHECKING:
    from entresol.jobs.relayed import Relayed

log = logging.getLogger(__name__)
Result = TypeVar("Result")

SURVEY_S = 0.25  # between two looks at all lanes, while there is something to do
SURVEY_JOBS = 1000  # or after so many jobs
SWEEP_S = 0.95  # between two looks for workers that are gone: within a second
LOOK_S = 0.5  # between two looks at what became of the jobs that run here
UNSURE_S = 60.0  # for which one looks, after the database was away, though no job is known to run here
MEASURE_S = 10.0  # between two looks at what waits, for who collects metrics
KEEP_S = 3600.0  # between two looks at how long jobs that are over have been so

_End = tuple[Attempt, str, bytes | None]
_Failure = tuple[Attempt, float | None, bytes]


class Worker:
    """Works from `run` until `stop`. Several may share a queue, on as many machines as one likes."""

    def __init__(
        self,
        jobs: Jobs,
        kinds: Kinds,
        queues: Sequence[str],
        settings: Settings,
        relayed: Relayed | None = None,
    ) -> None:
        self._jobs = jobs
        self._relayed = relayed
        self._stirred = asyncio.Event()  # there may be something to claim, or room for it
        self._processes = Processes(settings, self._stirred.set)
        self._isolated = {name for name, kind in kinds.items() if kind.is_isolated}
        self._kinds = {
            name: replace(kind, run=self._processes.run) if kind.is_isolated else kind
            for name, kind in kinds.items()
        }
        self._queues = queues
        self._settings = settings
        self._id = uuid.uuid4()
        self._heart = Heart(settings.queue_url, settings.jobs_lease_s, self._lose)
        self._limits = {kind.name: kind.limit for kind in kinds.values() if kind.limit is not None}
        self._survey_s = look_s(self._limits.values(), SURVEY_S)
        self._poll_s = look_s(self._limits.values(), settings.jobs_poll_s)
        self._running: dict[Attempt, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: set[asyncio.Future[bytes]] = set()  # of attempts that are over, and yet go on
        self._lanes: list[LaneState] = []
        self._surveyed_s = 0.0
        self._claimed = 0  # since the last survey
        self._turn = 0
        self._unsure_s = 0.0  # until when a claim may have been heard whose answer was not
        self._stopping = False
        self._ends: Turn[_End, bool] = Turn(self._finish_all, running_max=1)
        self._gauges = Gauges(lambda: len(self._running))
        self._failures: Turn[_Failure, bool] = Turn(self._fail_all, running_max=1)

    async def run(self) -> None:
        """Work until `stop`; then what still runs after `drain_s` is handed back, for others to begin again at once.

        Raises:
            StoreUnavailableError: the database cannot be reached when the worker begins. Later it is waited for.
        """
        await self._join()
        try:
            async with asyncio.TaskGroup() as group:
                hearing = group.create_task(self._hear())
                chores = [
                    group.create_task(chore)
                    for chore in (self._sweep(), self._look(), self._keep(), self._measure())
                ]
                await self._claim_all()
                hearing.cancel()  # what was delivered and not claimed goes to others at once
                await self._drain()
                for chore in chores:
                    chore.cancel()
        finally:
            await self._processes.close()
            await self._heart.stop()
            with suppress(EntresolError):
                await self._jobs.leave(self._id)

    def stop(self) -> None:
        """Claim no more, finish what runs, and end."""
        self._stopping = True
        self._stirred.set()

    def facts(self) -> Facts:
        """Return what runs here and what waits."""
        return {"id": str(self._id), "concurrency": self._settings.jobs_concurrency, **self._gauges.facts()}

    async def _hear(self) -> None:
        """Hear for ever that there may be something to claim."""
        if self._relayed is not None:
            await self._relayed.run(self._stirred.set)
        else:
            await listen(self._settings.queue_url, self._stirred.set)

    async def _join(self) -> None:
        settings = self._settings
        host, process = socket.gethostname(), os.getpid()
        await self._jobs.add_limits(self._limits)
        await self._jobs.join(self._id, host, process, self._queues, lease_s=settings.jobs_lease_s)
        self._heart.start(self._id)

    def _lose(self) -> None:
        """Begin anew as another worker: this one's lease is over, and others have its jobs."""
        log.error("the lease of worker %s is over: its %d jobs are others' now", self._id, len(self._running))
        for running in self._running.values():
            running.stop(Why.LOST)
        if not self._stopping:
            self._id = uuid.uuid4()
            self._spawn(self._insist(self._join))

    async def _claim_all(self) -> None:
        while not self._stopping:
            self._stirred.clear()
            try:
                begun = await insist(self._claim, self._forget, lambda: self._stopping) if self._room else 0
            except EntresolError:  # the database is away, and the worker ends
                return
            # Of what gave nothing there is no more until the next survey, but there may be of others.
            if not begun and not (self._room and self._wanted()):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stirred.wait(), self._poll_s if self._room else None)

    @property
    def _room(self) -> int:
        return max(self._settings.jobs_concurrency - len(self._running) - len(self._left), 0)

    async def _claim(self) -> int:
        """Claim what there is room for and begin it; return how many."""
        if self._relayed is not None:
            return self._begin_all(await self._relayed.claim(self._id, self._room), ())
        now_s = asyncio.get_running_loop().time()
        is_idle = not any(lane.has_jobs for lane in self._lanes)
        if is_idle or self._claimed >= SURVEY_JOBS or now_s - self._surveyed_s > self._survey_s:
            floors = {lane.id: lane.floor for lane in self._lanes}
            self._lanes = await self._jobs.survey(self._queues, [*self._kinds], floors)
            self._surveyed_s, self._claimed = now_s, 0
        wanted = self._wanted()
        self._turn += 1
        free = [(lane, share) for lane, share in wanted if lane.lane.kind not in self._limits]
        limited = [(lane, share) for lane, share in wanted if lane.lane.kind in self._limits]
        begun = await self._claim_free(free) if free else 0
        return begun + (await self._claim_limited(limited) if limited else 0)

    def _wanted(self) -> list[Share]:
        """Return what to claim; of isolated kinds what processes are free for, so that others may claim the rest."""
        lanes, isolated = open_lanes(self._lanes, self._limits, self._running_kinds()), self._isolated
        free = self._processes.count - sum(one.kind.is_isolated for one in self._running.values())
        if free <= 0:
            if any(lane.has_jobs and lane.lane.kind in isolated for lane in lanes):
                self._processes.want()
            lanes = [lane for lane in lanes if lane.lane.kind not in isolated]
        return within(shares(lanes, self._room, self._turn), isolated, free)

    async def _claim_free(self, wanted: Sequence[Share]) -> int:
        claimed = await self._jobs.claim(self._id, wanted)
        given = Counter(one.lane for one in claimed)
        return self._begin_all(claimed, {lane.id for lane, share in wanted if given[lane.id] < share})

    async def _claim_limited(self, wanted: Sequence[Share]) -> int:
        asked = rooms(wanted, self._limits, self._running_kinds())
        limits = {kind: (self._limits[kind], room) for kind, room in asked.items()}
        claimed = await self._jobs.claim_limited(self._id, wanted, limits)
        given = Counter(one.kind for one in claimed)
        less = {lane.id for lane, _ in wanted if given[lane.lane.kind] < asked[lane.lane.kind]}
        return self._begin_all(claimed, less)

    def _begin_all(self, claimed: Sequence[Claimed], empty: Collection[int]) -> int:
        """Begin jobs; lanes that are `empty` gave less than was asked for: no more of them until the next survey."""
        self._lanes = [replace(lane, has_jobs=lane.has_jobs and lane.id not in empty) for lane in self._lanes]
        for one in claimed:
            self._begin(one)
        self._claimed += len(claimed)
        return len(claimed)

    def _running_kinds(self) -> Counter[str]:
        return Counter(one.claimed.kind for one in self._running.values()) if self._limits else Counter()

    def _begin(self, claimed: Claimed) -> None:
        end_s = asyncio.get_running_loop().time() + claimed.timeout_s
        running = Running(claimed, self._kinds[claimed.kind], end_s)
        self._running[claimed.attempt] = running
        self._spawn(self._attempt(running))

    async def _attempt(self, running: Running) -> None:
        attempt = running.claimed.attempt
        try:
            with watched(running.claimed) as watch:
                watch.outcome = await self._end(running)
        finally:
            del self._running[attempt]
            if self._relayed is not None:
                self._relayed.over(attempt)
            self._stirred.set()
            if running.left is not None:
                self._leave_behind(running.left)

    async def _end(self, running: Running) -> str:
        """Run an attempt, write down how it ended, and return that."""
        claimed, attempt = running.claimed, running.claimed.attempt
        try:
            result = await running.run()
        except StoppedError as error:
            await self._write_down([running])
            if error.why is Why.CANCELLED:
                await self._ends.submit((attempt, "cancelled", None))
            elif error.why is Why.RELEASED:
                await self._insist(lambda: self._jobs.release([attempt]))
            return error.why.value
        except Exception as error:
            await self._write_down([running])
            if isinstance(error, DescribedError):
                pause_s, failure = error.pause_s, error.failure
            else:
                pause_s = retry_s(error, claimed.number, claimed.attempts_max)
                failure = running.kind.describe(error, claimed)
            outcome = "dead" if pause_s is None else "failed"
            is_ours = await self._failures.submit((attempt, pause_s, failure))
        else:
            await self._write_down([running])
            outcome = "succeeded"
            is_ours = await self._ends.submit((attempt, outcome, result))
        if is_ours:
            return outcome
        log.warning("attempt %d at job %s ended when it was another's", claimed.number, attempt.id)
        return Why.LOST.value

    async def _write_down(self, running: Iterable[Running]) -> None:
        """Write down what attempts have reported since the last time."""
        reports = [
            (one.claimed.attempt, one.reports.percent, one.reports.step, one.reports.checkpoint)
            for one in running
            if one.reports.take()
        ]
        try:
            if reports:
                await self._insist(lambda: self._jobs.report(reports))
        except InvalidArgumentError:  # of one of them, for which the others must not suffer
            for report in reports:
                try:
                    await self._insist(partial(self._jobs.report, [report]))
                except InvalidArgumentError as error:
                    log.error("what job %s reports cannot be kept: %s", report[0].id, error.message)

    async def _finish_all(self, ends: list[_End]) -> list[bool]:
        done = await self._insist(lambda: self._jobs.finish(ends))
        return [attempt.id in done for attempt, _, _ in ends]

    async def _fail_all(self, failures: list[_Failure]) -> list[bool]:
        done = await self._insist(lambda: self._jobs.fail(failures))
        return [attempt.id in done for attempt, _, _ in failures]

    async def _sweep(self) -> None:
        """Let jobs be ready whose time has come, and those of workers that are gone."""
        if not self._kinds:
            return
        lost = next(iter(self._kinds.values())).describe(UnavailableError("the worker was lost"), None)
        loop, swept_s = asyncio.get_running_loop(), float("-inf")
        while True:
            swept = 0
            if loop.time() - swept_s >= SWEEP_S:
                swept_s, swept = loop.time(), await self._insist(lambda: self._jobs.sweep(lost))
            if swept:
                telemetry.JOBS_SWEPT.add(swept)
                log.warning("%d jobs of workers that are gone are ready again, or dead", swept)
            if await self._insist(self._jobs.promote) or swept:
                self._stirred.set()
            await asyncio.sleep(min(self._settings.jobs_poll_s * 2, SWEEP_S))

    async def _keep(self) -> None:
        while True:
            try:
                await self._jobs.keep(self._settings.jobs_kept_days)
            except Exception:  # it may do so next time, and jobs are run meanwhile
                log.exception("jobs that were over long ago could not be forgotten")
            await asyncio.sleep(KEEP_S)

    async def _measure(self) -> None:
        floors: dict[int, int] = {}
        while True:
            self._gauges.backlog = await self._insist(partial(self._jobs.backlog, floors))
            await asyncio.sleep(MEASURE_S)

    async def _look(self) -> None:
        """Write down what attempts report, and tell them what became of them."""
        loop = asyncio.get_running_loop()
        strangers: set[Attempt] = set()
        while True:
            await asyncio.sleep(LOOK_S)
            worker, running = self._id, dict(self._running)
            ends = [one.end_s for one in running.values()]
            self._heart.allow(min(ends) - loop.time() + 2 * GRACE_S if ends else None)
            if not running and loop.time() > self._unsure_s:
                continue
            await self._write_down(running.values())
            ours = await self._insist(partial(self._jobs.look, worker))
            for attempt, one in running.items():
                if attempt not in ours:
                    one.stop(Why.LOST)
                elif ours[attempt]:
                    one.stop(Why.CANCELLED)
            strangers = await self._give_back(ours.keys() - self._running.keys(), strangers)

    async def _give_back(self, found: set[Attempt], before: set[Attempt]) -> set[Attempt]:
        """Hand back what a claim has given this worker whose answer never came: what two looks in a row found."""
        unheard = found & before
        if unheard:
            log.warning("%d jobs were claimed, and the answer was lost: they are handed back", len(unheard))
            await self._insist(lambda: self._jobs.release([*unheard]))
        return found - unheard

    async def _drain(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._settings.drain_s)
        for running in self._running.values():
            running.stop(Why.RELEASED)
        if self._tasks:
            longest_s = 2 * GRACE_S + self._settings.jobs_lease_s
            _, left = await asyncio.wait(self._tasks, timeout=longest_s)
            if left:
                log.error("%d jobs could not be handed back: others wait until the lease is over", len(left))
            for task in left:
                task.cancel()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _leave_behind(self, left: asyncio.Future[bytes]) -> None:
        """Count what could not be ended among what runs here: a thread that blocks for ever is still there."""
        self._left.add(left)
        left.add_done_callback(self._gone)

    def _gone(self, left: asyncio.Future[bytes]) -> None:
        self._left.discard(left)
        self._stirred.set()
        if not left.cancelled():
            left.exception()  # nobody else asks for it

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.critical("an attempt could not be ended", exc_info=task.exception())

    async def _insist(self, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Return what the database answers, however long it is away."""
        return await insist(ask, self._forget)

    def _forget(self) -> None:
        """Survey all lanes anew: what was known of them may be another server's."""
        self._lanes = []
        self._unsure_s = asyncio.get_running_loop().time() + UNSURE_S
