"""The faults of schedules, which tick every two seconds: each is played on a ground whose workers tick."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from signal import SIGCONT, SIGKILL, SIGSTOP

from tests.offline.counts import Away, Rows
from tests.offline.findings import AGAIN_S_MAX, Findings, of_ticks
from tests.offline.ground import Ground
from tests.offline.work import LEASE_S, TICK_EVERY_S, TICK_S, tick

START_S = 3.0  # about what a worker takes to begin on a busy machine, and three work
MORE_S = 2.0 * TICK_EVERY_S  # that it ticks on after the last fault
PATIENCE_S = 15.0  # a tick that was not done so long after the last fault is lost
QUICK_PATIENCE_S = AGAIN_S_MAX + 2.0


async def ticks_kill(ground: Ground, is_quick: bool) -> Findings:
    """Kill -9 who runs a tick, or any worker at any moment, again and again, so that there always is one that works."""
    began_s = time.time()
    for number in range(3 if is_quick else 12):
        await asyncio.sleep(START_S + ground.dice.uniform(0, TICK_EVERY_S))
        names = list(ground.workers)
        name = ground.dice.choice(names) if number % 2 else await _ticking(ground, names)
        await ground.strike(name, SIGKILL)
    return await _found(ground, is_quick, began_s)


async def ticks_stop(ground: Ground, is_quick: bool) -> Findings:
    """SIGSTOP each worker in turn, while it runs a tick, for longer than its lease, and let it go on."""
    began_s = time.time()
    names = list(ground.workers)
    for _ in range(1 if is_quick else len(names)):
        await asyncio.sleep(2)
        name = await _ticking(ground, names)
        await ground.strike(name, SIGSTOP)
        await asyncio.sleep(LEASE_S + (3 if is_quick else 7))
        await ground.strike(name, SIGCONT)
        names.remove(name)
    return await _found(ground, is_quick, began_s)


async def ticks_outage(ground: Ground, is_quick: bool) -> Findings:
    """Kill -9 all workers, and begin others after a while."""
    began_s = time.time()
    await asyncio.sleep((1 if is_quick else 8) * TICK_EVERY_S + ground.dice.uniform(0, TICK_EVERY_S))
    return await _found(ground, is_quick, began_s, await ground.away(6 if is_quick else 20))


async def ticks_restart(ground: Ground, is_quick: bool) -> Findings:
    """Stop PostgreSQL and start it again."""
    began_s, away = time.time(), []
    for _ in range(1 if is_quick else 7):
        await asyncio.sleep(ground.dice.uniform(2, 2 + TICK_EVERY_S))
        stopped_s = time.time()
        await ground.primary.stop()
        await asyncio.sleep(TICK_EVERY_S)  # so that a tick comes meanwhile
        await ground.primary.start()
        away.append(Away(stopped_s, time.time()))
    return await _found(ground, is_quick, began_s, *away)


async def _found(ground: Ground, is_quick: bool, began_s: float, *away: Away) -> Findings:
    """Let it tick for a moment more, and return what became of every tick until then."""
    await asyncio.sleep(MORE_S)
    numbers = range(math.ceil(began_s / TICK_EVERY_S), math.floor(time.time() / TICK_EVERY_S))
    nominal_s = [number * float(TICK_EVERY_S) for number in numbers]
    jobs = {tick(one).job for one in nominal_s}
    patience_s = (QUICK_PATIENCE_S if is_quick else PATIENCE_S) - MORE_S
    await ground.until(lambda rows: jobs <= {row.job for row in rows.done}, patience_s)
    await asyncio.sleep(2 * TICK_S)  # one that was done may be done again
    return of_ticks(await ground.rows(), nominal_s, away)


async def _ticking(ground: Ground, names: Sequence[str]) -> str:
    """Return one of these workers as soon as it runs a tick, or after a while any."""
    pids = {ground.workers[name]: name for name in names}

    def found(rows: Rows) -> list[str]:
        since_s = time.time() - TICK_S
        return [pids[row.pid] for row in rows.under_way if row.begun_s > since_s and row.pid in pids]

    await ground.until(lambda rows: bool(found(rows)), 2 * TICK_EVERY_S)
    return next(iter(found(await ground.rows())), names[0])
