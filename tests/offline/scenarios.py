"""The faults: each is played on a ground, and returns what was found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM

from tests.offline.counts import Begun, Rows
from tests.offline.failover import STANDBYS, failover
from tests.offline.findings import AGAIN_S_MAX, Findings, of, of_blows, of_handing_back, of_moments
from tests.offline.ground import PATIENCE_S, Ground, OfflineError
from tests.offline.ticks import ticks_kill, ticks_outage, ticks_restart, ticks_stop
from tests.offline.work import DRAIN_S, LEASE_S, POISON_ATTEMPTS

Play = Callable[[Ground, bool], Awaitable[Findings]]


@dataclass(frozen=True)
class Scenario:
    """A fault. Its workers `do` work, or tick as well; with `standbys` its PostgreSQL is one of its own.

    What is `ours_when_quick` peers do not play then.
    """

    play: Play
    do: str = "work"
    standbys: int = 0
    ours_when_quick: bool = False


async def kill(ground: Ground, is_quick: bool) -> Findings:
    """Kill -9 the worker with the most jobs, again and again, while others come."""
    kills = 3 if is_quick else 100
    producer = await ground.put("kill", count=kills * 20 + 10, per_s=10, seconds=1.5)
    await ground.some_done(5)
    blows = []
    for _ in range(kills):
        await asyncio.sleep(ground.dice.uniform(1.5, 2.3))
        blows.append(await ground.strike(await ground.busiest(), SIGKILL))
    await ground.end_of(producer, 3 * PATIENCE_S)
    return of_blows(await ground.done(PATIENCE_S, job_s=1.5), blows)


async def stop(ground: Ground, is_quick: bool) -> Findings:
    """SIGSTOP the worker with the most jobs for longer than its lease, and let it go on.

    By then its attempts are due to write, and those who took over are still at it.
    """
    blows = []
    for number in range(1 if is_quick else 5):
        await _all_begun(ground, f"stop{number}", seconds=6)
        name = await ground.busiest()
        blows.append(await ground.strike(name, SIGSTOP))
        await asyncio.sleep(LEASE_S + 4)
        await ground.strike(name, SIGCONT)
    return of_blows(await ground.done(PATIENCE_S, job_s=6), blows)


async def hold(ground: Ground, is_quick: bool) -> Findings:
    """SIGSTOP the worker with the most jobs while they are in their transactions, and never let it go on."""
    await _all_begun(ground, "hold", seconds=3, how="hold")
    blow = await ground.strike(await ground.busiest(), SIGSTOP)
    return of_blows(await ground.done(PATIENCE_S, job_s=3), [blow])


async def leave(ground: Ground, is_quick: bool) -> Findings:
    """End workers between the commit of what a job wrote and its end."""
    count = 2 if is_quick else 10
    await ground.end_of(await ground.put("leave", count=count, per_s=0.7, how="leave"), PATIENCE_S)
    return of(await ground.done(PATIENCE_S, job_s=LEASE_S + 5))


async def block(ground: Ground, is_quick: bool) -> Findings:
    """Let handlers block the event loop for three leases, among others that do not."""
    seconds = 3 * LEASE_S
    count = 1 if is_quick else 3
    await ground.end_of(await ground.put("block", count=count, seconds=seconds, how="block"), PATIENCE_S)
    await ground.end_of(await ground.put("beside", count=10, per_s=10, seconds=1), PATIENCE_S)
    # Those of one worker come one after the other, and so may those who take them over.
    rows = await ground.done(2 * count * seconds, job_s=count * seconds)
    found = of(rows)
    found.figures["attempts_at_blocking"] = sum(row.job.startswith("block") for row in rows.begun)
    return found


async def restart(ground: Ground, is_quick: bool) -> Findings:
    """Stop PostgreSQL and start it again, while jobs come and go."""
    times = 1 if is_quick else 10
    producer = await ground.put("restart", count=30 + 120 * times, per_s=20, seconds=0.2)
    await ground.some_done(20)
    accepted_s = []
    for _ in range(times):
        await asyncio.sleep(ground.dice.uniform(1, 2))
        await ground.primary.stop()
        await ground.primary.start()
        accepted_s.append(time.time())
        await asyncio.sleep(3)
    await ground.end_of(producer, 3 * PATIENCE_S)
    return of_moments(await ground.done(PATIENCE_S, job_s=0.2), accepted_s)


async def cut(ground: Ground, is_quick: bool) -> Findings:
    """Terminate every session of workers and producers, while jobs come and go."""
    times = 1 if is_quick else 30
    producer = await ground.put("cut", count=80 + 60 * times, per_s=20, seconds=0.2)
    await ground.some_done(20)
    cut_s = []
    for _ in range(times):
        await asyncio.sleep(ground.dice.uniform(2, 3))
        await ground.cut()
        cut_s.append(time.time())
    await ground.end_of(producer, 3 * PATIENCE_S)
    return of_moments(await ground.done(PATIENCE_S, job_s=0.2), cut_s)


async def producer(ground: Ground, is_quick: bool) -> Findings:
    """Kill -9, anywhere in a transaction, who writes orders and puts in their jobs; a job is there iff its order is.

    Every seventh transaction is undone at its end.
    """
    wanted, kills, count = 500 if is_quick else 10_000, 0, 0
    while count < wanted:
        kills += 1
        name = await ground.put(f"producer{kills}", count=1_000_000, drop_every=7)
        if not await ground.until(lambda rows, count=count: len(rows.orders) > count, PATIENCE_S):  # type: ignore[misc]
            raise OfflineError(f"{name} puts nothing in")
        await asyncio.sleep(ground.dice.uniform(0.0, 0.5 if is_quick else 2.0))
        await ground.strike(name, SIGKILL)
        count = len((await ground.rows()).orders)
    found = of(await ground.done((1 if is_quick else 6) * PATIENCE_S, job_s=0))
    found.figures["kills"] = kills
    return found


async def poison(ground: Ground, is_quick: bool) -> Findings:
    """Put in a job that ends its worker whenever it begins, among others that do no harm."""
    others = await ground.put("other", count=40 if is_quick else 200, per_s=5, seconds=1)
    await ground.end_of(await ground.put("poison", count=1, how="exit"), PATIENCE_S)
    await ground.end_of(others, 3 * PATIENCE_S)
    await ground.until(lambda rows: _attempts(rows, "poison-0") >= POISON_ATTEMPTS, PATIENCE_S)
    await asyncio.sleep(AGAIN_S_MAX + (1 if is_quick else LEASE_S))  # for one more attempt, if there is one
    await ground.until(lambda rows: rows.lost <= {"poison-0"}, 3.0 if is_quick else PATIENCE_S)
    rows = await ground.rows()
    found = of(replace(rows, orders=rows.orders - {"poison-0"}, begun=_without(rows, "poison-0")))
    found.exactly("poison_attempts", _attempts(rows, "poison-0"), POISON_ATTEMPTS)
    return found


async def sigterm(ground: Ground, is_quick: bool) -> Findings:
    """SIGTERM the worker with the most jobs, all of which take longer than it may; others are to go on with them."""
    blows = []
    for number in range(1 if is_quick else 10):
        await _all_begun(ground, f"sigterm{number}", seconds=4)
        blows.append(await ground.strike(await ground.busiest(), SIGTERM))
        await asyncio.sleep(DRAIN_S + 5)
    return of_handing_back(await ground.done(PATIENCE_S, job_s=4), blows)


async def _all_begun(ground: Ground, prefix: str, *, seconds: float, how: str = "sleep") -> None:
    """Put jobs in, one soon after the other so that each worker takes some, and wait until all have begun."""
    await ground.end_of(await ground.put(prefix, count=20, per_s=20, seconds=seconds, how=how), PATIENCE_S)

    def have_begun(rows: Rows) -> bool:
        return sum(job.startswith(f"{prefix}-") for job in {row.job for row in rows.begun}) == 20

    await ground.until(have_begun, PATIENCE_S)


def _attempts(rows: Rows, job: str) -> int:
    return sum(row.job == job for row in rows.begun)


def _without(rows: Rows, job: str) -> list[Begun]:
    return [row for row in rows.begun if row.job != job]


_JOBS = (kill, stop, hold, restart, cut, producer, sigterm, leave, poison, block)
_TICKS = (ticks_kill, ticks_stop, ticks_outage, ticks_restart)
SCENARIOS = {
    failover.__name__: Scenario(failover, standbys=STANDBYS, ours_when_quick=True),
    **{play.__name__: Scenario(play, do="tick", ours_when_quick=True) for play in _TICKS},
    **{play.__name__: Scenario(play) for play in _JOBS},
}
