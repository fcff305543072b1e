"""What happens to servers under load, and what callers may lose by it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import asyncpg
from tests.topology.ground import LAG_S_MAX, REPLICAS, Ground
from tests.topology.load import KEYED, KINDS, OWN, PLAIN, READ, Made, lost, p50_ms

from entresol.embedded.patroni import TTL_S
from entresol.embedded.redis_sets import Member
from entresol.errors import ServerCommandError

CALM_S = 1.0  # before and after what happens
LEAVE_S_MAX = 2.0  # from when a replica lags too much
READ_S = 0.1  # until a balancer has read that connections ended: before, it writes to who is gone
NOTICED_S = 3.0  # from when a server stands still
STILL_S = 4.0
FOLLOWED_S = 40.0  # Sentinel takes its time to tell who comes back that it leads no more
SWITCHOVER_S_MAX = 3.0
FAILOVER_S_MAX = TTL_S + 10.0  # of who leads the lock is held for so long, and then another must be found
_WRITES = (KEYED, PLAIN)
STEP_S, STEP_RUNS_S = 0.05, 0.01  # of a slow server, that runs for a fifth of the time
ALONE = 400  # calls over one connection


@dataclass(slots=True)
class Findings:
    """What was seen of an event: `missed` are the bars that were not kept."""

    figures: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    def bar(self, text: str, found: float, most: float) -> None:
        """Note a figure that may be so much, and no more."""
        self.figures[text] = found
        if found > most:
            self.missed.append(f"{text}: {found}, not at most {most}")

    def losses(self, calls: Iterable[Made], most: Mapping[str, int]) -> None:
        """Note how many calls of each kind were lost, which may be so many, else none."""
        calls = list(calls)
        self.figures["calls"] = len(calls)
        for kind, count in lost(calls).items():
            self.bar(f"lost: {kind}", count, most.get(kind, 0))
        wrong = sum(bool(call.code) and call.code != "UNAVAILABLE" and call.kind == PLAIN for call in calls)
        self.bar("lost otherwise than as UNAVAILABLE", wrong, 0)
        self.note_failures(calls)

    def note_failures(self, calls: Iterable[Made]) -> None:
        """Note what callers were told most often, where a bar was missed."""
        if self.missed:
            failed = Counter((call.kind, call.code, call.text[:90]) for call in calls if call.code)
            self.figures["failures"] = [f"{count} x {what}" for what, count in failed.most_common(5)]


Event = Callable[[Ground, Findings], Awaitable[None]]


@contextlib.asynccontextmanager
async def _under_load(ground: Ground) -> AsyncIterator[float]:
    """Give the moment when it began, when callers have asked for a while; they go on for as long when it is over."""
    async with ground.load.running():
        await asyncio.sleep(CALM_S)
        yield time.monotonic()
        await asyncio.sleep(CALM_S)


async def kill(ground: Ground, found: Findings) -> None:
    """SIGKILL of one server: what was under way there is sent again, but for writes that cannot be told apart."""
    name = ground.dice.choice(ground.names)
    async with _under_load(ground) as began_s:
        await ground.end_server(name, signal.SIGKILL)
        gone_s = time.monotonic() + READ_S
        await ground.start_server(name)
    under_way = [call for call in ground.load.since(began_s, gone_s) if call.kind == PLAIN]
    found.losses(ground.load.since(began_s), {PLAIN: len(under_way)})
    late = [call for call in ground.load.since(gone_s) if call.code and call.began_s > gone_s]
    found.bar("lost of those that began when it was gone", len(late), 0)


async def term(ground: Ground, found: Findings) -> None:
    """SIGTERM of one server: it drains."""
    name = ground.dice.choice(ground.names)
    async with _under_load(ground) as began_s:
        await ground.end_server(name, signal.SIGTERM)
        await ground.start_server(name)
    found.losses(ground.load.since(began_s), {})


async def roll(ground: Ground, found: Findings) -> None:
    """Restart every server, one after the other."""
    async with _under_load(ground) as began_s:
        for name in ground.names:
            await ground.end_server(name, signal.SIGTERM)
            await ground.start_server(name)
    found.losses(ground.load.since(began_s), {})


async def stop(ground: Ground, found: Findings) -> None:
    """SIGSTOP of one server: it takes calls and answers none, until the balancer has noticed."""
    name = ground.dice.choice(ground.names)
    async with _under_load(ground) as began_s:
        under_way = Counter(ground.load.under_way)
        await ground.strike(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(STILL_S)
        finally:
            await ground.strike(name, signal.SIGCONT)
    calls = ground.load.since(began_s)
    found.figures["under way"] = under_way.total()
    late = [call.ended_s - call.began_s for call in calls if call.began_s > began_s + NOTICED_S]
    found.figures["p50 of those that began when it was noticed, ms"] = round(
        1000 * statistics.median(late), 1
    )
    found.losses(calls, dict.fromkeys(KINDS, 0))


async def slow(ground: Ground, found: Findings) -> None:
    """One server runs for a fifth of the time: calls go to the other."""
    name = ground.dice.choice(ground.names)
    async with ground.load.running():
        await asyncio.sleep(2 * CALM_S)
        began_s = time.monotonic()
        while time.monotonic() < began_s + STILL_S:
            await ground.strike(name, signal.SIGSTOP)
            await asyncio.sleep(STEP_S - STEP_RUNS_S)
            await ground.strike(name, signal.SIGCONT)
            await asyncio.sleep(STEP_RUNS_S)
        ended_s = time.monotonic()
    before = p50_ms(ground.load.since(began_s - CALM_S, began_s))
    found.figures["p50 before, ms"] = before
    found.bar("p50 of reads, ms", p50_ms(ground.load.since(began_s, ended_s)), 2 * before)
    found.losses(ground.load.since(began_s), {})


async def spread(ground: Ground, found: Findings) -> None:
    """One connection's calls go to both servers."""
    before = await ground.answered()
    async with ground.load.running(callers=4, channels=1):
        first = len(ground.load.made)

        async def are_enough() -> bool:
            return len(ground.load.made) > first + ALONE

        await ground.until(are_enough, f"there were no {ALONE} calls")
    shares = {name: count - before[name] for name, count in (await ground.answered()).items()}
    found.figures["calls to each"] = list(shares.values())
    found.bar("most to one, of a hundred", round(100 * max(shares.values()) / sum(shares.values())), 75)


async def lag(ground: Ground, found: Findings) -> None:
    """One replica replays nothing more, then the other one, too: reads go elsewhere, at last to the primary."""
    first, second = ground.servers.replicas
    async with _under_load(ground) as began_s:
        try:
            took_s = await _leaves(ground, 0)
            found.bar("first left after, s", took_s, LEAVE_S_MAX)
            took_s = await _leaves(ground, 1)
            found.bar("second left after, s", took_s, LEAVE_S_MAX)
            is_primary = await _is_primary(ground)
            found.bar("reads without replicas that no primary answered", int(not is_primary), 0)
        finally:
            for replica in (first, second):
                await replica.set_delay(0)
        for number in range(2):
            await ground.seen(REPLICAS, ground.replica_slot(number), "UP")
        found.bar("reads that the primary still answered", int(await _is_primary(ground)), 0)
    found.losses(ground.load.since(began_s), {})


async def _leaves(ground: Ground, number: int) -> float:
    """Let a replica lag, and return how long it was given reads beyond its limit."""
    await ground.servers.replicas[number].set_delay(60_000)
    began_s = time.monotonic()
    await ground.seen(REPLICAS, ground.replica_slot(number), "DOWN")
    return round(max(0.0, time.monotonic() - began_s - LAG_S_MAX), 1)


async def _is_primary(ground: Ground) -> bool:
    """Tell whether a new connection for reads leads to the primary."""
    connection = await asyncpg.connect(ground.servers.through(ground.listen.reads))
    try:
        return not await connection.fetchval("SELECT pg_is_in_recovery()")
    finally:
        await connection.close()


async def cache(ground: Ground, found: Findings) -> None:
    """SIGKILL of the primary of Redis: Sentinel promotes its replica, and meanwhile the database answers."""
    killed = await ground.servers.sentinel.primary()
    (other,) = (cache for cache in ground.servers.sentinel.members if cache is not killed)
    async with _under_load(ground) as began_s:
        await killed.kill()

        async def is_promoted() -> bool:
            return await _role(other) == "master"

        await ground.until(is_promoted, "Sentinel promoted nobody")
        found.figures["promoted after, s"] = round(time.monotonic() - began_s, 1)
        await killed.start()

        async def is_whole() -> bool:  # Sentinel may have made who was killed the primary again, by then
            return sorted([await _role(killed), await _role(other)]) == ["master", "slave"]

        await ground.until(is_whole, "neither Redis follows the other", FOLLOWED_S)
    found.losses(ground.load.since(began_s), {})


async def _role(cache: Member) -> str:
    try:
        return (await cache.info("replication"))["role"]
    except ServerCommandError:  # Sentinel ends all connections of one that becomes another
        return ""


async def switchover(ground: Ground, found: Findings) -> None:
    """Patroni hands the primary's role to another node, as it is asked to."""
    async with _under_load(ground) as began_s:
        await ground.patroni.switch()
        await _is_whole_again(ground)
    await _judge(ground, found, began_s, SWITCHOVER_S_MAX)


async def failover(ground: Ground, found: Findings) -> None:
    """SIGKILL of the primary and its Patroni: another node leads once the lock has expired."""
    async with _under_load(ground) as began_s:
        killed = await ground.patroni.leader()
        await ground.patroni.nodes[killed].kill()

        async def leads_another() -> bool:
            return await ground.patroni.leader() not in ("", killed)

        await ground.until(leads_another, "no other node leads", FAILOVER_S_MAX)
        await ground.patroni.nodes[killed].start()
        await _is_whole_again(ground)
    await _judge(ground, found, began_s, FAILOVER_S_MAX)


async def _is_whole_again(ground: Ground) -> None:
    """Return when all nodes have their roles, and a write that began after that was acknowledged."""
    await ground.until(ground.patroni.is_whole, "the nodes do not come together", 60)
    began_s = time.monotonic()

    async def is_written() -> bool:
        return any(
            call.kind in _WRITES and not call.code and call.began_s > began_s for call in ground.load.made
        )

    await ground.until(is_written, "nothing is written")


async def _judge(ground: Ground, found: Findings, began_s: float, gap_s_max: float) -> None:
    """Note for how long nothing was written, what is not there that was acknowledged, and what was refused."""
    calls = ground.load.since(began_s)
    found.figures["calls"] = len(calls)
    written = sorted(call.ended_s for call in ground.load.made if call.kind in _WRITES and not call.code)
    gaps = [later - sooner for sooner, later in pairwise(written) if later > began_s]
    found.bar("nothing written for, s", round(max(gaps), 1), gap_s_max)
    connection = await asyncpg.connect(ground.servers.through(ground.listen.writes))
    try:
        there = {record[0] for record in await connection.fetch("SELECT name FROM users")}
    finally:
        await connection.close()
    found.bar("acknowledged and lost", len(set(ground.load.names) - there), 0)
    for kind, count in lost(calls).items():
        if kind in (READ, OWN):
            found.bar(f"refused: {kind}", count, 0)
        else:
            found.figures[f"refused: {kind}"] = count
    found.note_failures(calls)


EVENTS: Mapping[str, Event] = {
    "spread": spread,
    "kill": kill,
    "term": term,
    "roll": roll,
    "stop": stop,
    "slow": slow,
    "lag": lag,
    "cache": cache,
}
# Of databases that Patroni keeps.
PATRONI_EVENTS: Mapping[str, Event] = {"switchover": switchover, "failover": failover}
