"""The cache of serialized records that a dead Redis never turns into an error: get, begin, fill and put.

A read that misses is `begin`, then the database, then `fill`; a write that committed is `put`. What keeps an
old row from entering behind a newer one is in the scripts and in the order of these calls: README.md has the
rules.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache, partial

from entresol import telemetry
from entresol.cache.breaker import Breaker
from entresol.cache.connection import Connection
from entresol.cache.connections import open_connection
from entresol.cache.entry import Entry, Rank, body, hexed, padded, parse, stamp
from entresol.cache.failure import CacheError
from entresol.cache.fences import Fences
from entresol.cache.fill import Fill, Spot
from entresol.cache.generations import Generations, Mark
from entresol.cache.keys import Layout, Place
from entresol.cache.lag import RelayLag
from entresol.cache.leases import KEYS_MAX, Leases
from entresol.cache.lookup import Found, Lookups
from entresol.cache.scripts import Script, Scripts
from entresol.cache.wire import Command, Reply
from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import ConfigurationError
from entresol.life import Facts
from entresol.schema.model import Resource

FILL_KEYS_MAX = 64
TTL_JITTER = 0.1
COST_MS_MAX = 60_000

Row = tuple[int, bytes] | None  # version and message; None: there is no such record


class Entries:
    """One process's way to the entries. No method raises because of Redis: a failure is a miss, counted."""

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        *,
        lease_s: float,
        fence_s: float,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.connection = connection
        self.layout = layout
        self._generations = Generations(connection, layout)
        self._lookups = Lookups(connection, layout, self._generations)
        self._leases = Leases(self._lookups, layout, lease_s)
        self.lag = RelayLag(connection, layout, clock)
        self._fence_s = fence_s
        self._clock = clock
        self._chance = chance

    @classmethod
    def open(
        cls, settings: Settings, *, clock: Clock | None = None, scripts: Scripts | None = None
    ) -> Entries:
        """Return the entries of the cache that the settings name. Nothing connects before the first command.

        Raises:
            ConfigurationError: a fence would not outlive the leases of those who read before it.
        """
        if settings.cache_fence_s < 2 * settings.cache_lease_s:
            raise ConfigurationError(
                f"setting cache_fence_s: {settings.cache_fence_s:g} is less than twice cache_lease_s, "
                f"{settings.cache_lease_s:g}; raise the one or lower the other",
                metadata={"setting": "cache_fence_s"},
            )
        clock = clock or Clock()
        breaker = partial(Breaker, settings.cache_breaker_failures, settings.cache_breaker_reset_s, clock)
        return cls(
            open_connection(
                settings.cache_url, timeout_s=settings.cache_timeout_s, breaker=breaker, scripts=scripts
            ),
            Layout(settings.cache_prefix, settings.cache_partitions, settings.cache_buckets),
            lease_s=settings.cache_lease_s,
            fence_s=settings.cache_fence_s,
            clock=clock,
        )

    async def close(self) -> None:
        """Close the connection; what is still asked is a miss."""
        await self.connection.close()

    @property
    def is_away(self) -> bool:
        """Whether the server has failed so often that it is not asked."""
        return self.connection.is_away

    def facts(self) -> Facts:
        """Return what is known of the servers, and the generation of each partition."""
        generations = [generation.decode(errors="replace") for generation in self._generations.seen]
        lag_s = self.lag.seconds
        lag = {} if math.isinf(lag_s) else {"relay_lag_s": round(lag_s, 3)}
        servers = self.connection.states()
        return {"live": not self.is_away, "servers": servers, "generations": generations, **lag}

    async def get(self, resource: Resource, names: Sequence[str]) -> list[Entry | None]:
        """Return the entry of each name, in order; None is a miss.

        All calls of one event-loop turn are one command for the positions and one for the entries, per partition.
        """
        table, place = resource.table, self.layout.place
        places = [place(table, name) for name in names]
        try:
            # The commands are those of all who ask in this turn; what each waits for them is its own.
            with telemetry.span(telemetry.SPAN_CACHE, "get", resource.type):
                found = await self._lookups.find(places)
        except CacheError:
            _count_reads(resource, len(names), "failure")
            return [None] * len(names)
        return _answers(resource, places, found)

    def ask(
        self, resource: Resource, names: Sequence[str], told: Callable[[Sequence[Entry | None]], None]
    ) -> None:
        """Have `told` called with what `get` would return: by a callback, no task."""
        places = [self.layout.place(resource.table, name) for name in names]
        self._lookups.ask(places, partial(_tell, resource, places, told))

    async def begin(self, resource: Resource, names: Sequence[str], *, lease: bool = True) -> Fill:
        """Return the positions that a fill of these names is judged by. Call it before reading the database.

        Names in `Fill.lost` are being read by another process, which holds their leases: `wait` for those not `found`.
        A name without a spot cannot be filled, because the relay or Redis is away.
        """
        places = {name: self.layout.place(resource.table, name) for name in names}
        # Without a lease a STRONG record cannot be filled (rule R9); others do without when they are many.
        lease = lease and (resource.is_fenced or len(places) <= KEYS_MAX)
        owner = self._leases.new_owner() if lease else b""
        parts = _by_partition(places.items())
        commands: list[Command] = [
            (
                *("HMGET", self.layout.meta(partition), "W", "g", "base", self.layout.floor(resource.table)),
                *(place.bucket for _, place in members),
            )
            for partition, members in parts.items()
        ]
        if owner:
            commands.extend(self._leases.command(place, owner) for place in places.values())
            # Looked up again behind the lease: whoever had it may have filled since this process missed.
            commands.extend(("MGET", *(place.entry for _, place in members)) for members in parts.values())
        try:
            replies = await self.connection.execute(*commands)
        except CacheError:
            return Fill(resource)
        spots: dict[str, Spot] = {}
        for members, (watermark, generation, base, floor, *moved) in zip(
            parts.values(), replies, strict=False
        ):
            if generation is not None:
                self._generations.see(members[0][1].partition, generation)
                for (name, place), position in zip(members, moved, strict=True):
                    moved_at, floor_at = int((position or base)[:16], 16), int(floor or b"0", 16)
                    spots[name] = Spot(place, generation, moved_at, int(watermark, 16), floor_at)
        taken = zip(places, replies[len(parts) :], strict=False)
        found = self._found_since(resource, parts, replies) if owner else {}
        lost = tuple(name for name, reply in taken if reply is None and name in spots)
        # What cannot be filled nobody should wait for.
        await self._give_back(owner, [place for name, place in places.items() if name not in spots])
        return Fill(resource, spots, owner, lost, found, self._clock.monotonic_s())

    def _found_since(
        self, resource: Resource, parts: Mapping[int, Sequence[tuple[str, Place]]], replies: Sequence[Reply]
    ) -> dict[str, Entry]:
        """Return the entries that the last replies of `begin` hold; the first ones are the positions."""
        revision = padded(resource.revision)
        found: dict[str, Entry] = {}
        last = replies[-len(parts) :]
        for members, (watermark, generation, _, floor, *_), values in zip(
            parts.values(), replies, last, strict=False
        ):
            for (name, _), value in zip(members, values, strict=True):
                entry = parse(value, generation, int(watermark, 16), revision, floor) if generation else None
                if entry is not None:
                    found[name] = entry
        return found

    async def wait(self, resource: Resource, names: Sequence[str]) -> list[Entry | None]:
        """Return the entries of names whose leases others hold, as they appear; None: read it yourself.

        Takes as long as the slowest of those readers, and never longer than a lease lasts.
        """
        return await self._leases.wait(resource, names)

    async def fill(self, fill: Fill, rows: Mapping[str, Row], position: int | None, *, seen: int = 0) -> None:
        """Offer what the database answered: version and message of each name, None where there is no record.

        `position` is the replica's replay position, taken before the statement that read the rows; None for the
        primary, whose rows reflect the positions of `begin`. Nothing that was read committed after `seen`; 0 is
        not known. Gives back the leases of the names offered.
        """
        if fill.resource.is_fenced and position is not None:  # a replica may not have what was fenced
            await self.release(fill, rows)
            return
        offered = [(name, fill.spots[name]) for name in rows if name in fill.spots]
        parts: dict[tuple[int, bytes], list[tuple[str, Spot]]] = {}
        for name, spot in offered:
            parts.setdefault((spot.place.partition, spot.generation), []).append((name, spot))
        commands = [
            self._fill_command(fill, members[at : at + FILL_KEYS_MAX], rows, position, seen)
            for members in parts.values()
            for at in range(0, len(members), FILL_KEYS_MAX)
        ]
        if commands:
            await self._write("fill", commands)

    def _fill_command(
        self,
        fill: Fill,
        members: Sequence[tuple[str, Spot]],
        rows: Mapping[str, Row],
        position: int | None,
        seen: int,
    ) -> Command:
        first = members[0][1]
        cost_s = self._clock.monotonic_s() - fill.begun_s
        keys: list[bytes] = [self.layout.meta(first.place.partition)]
        arguments: list[bytes | int] = [first.generation, fill.owner, first.place.floor]
        for name, spot in members:
            row = rows[name]
            rank = Rank.VALUE if row is not None else Rank.ABSENT
            version, message = row if row is not None else (0, b"")
            reflected = spot.reflected if position is None else position
            keys += spot.place.entry, spot.place.lease
            offer = self._offer(fill.resource, spot.place, version, rank, reflected, message, seen, cost_s)
            arguments += offer
        if fill.resource.is_fenced:
            keys.append(self.layout.fences(first.place.partition))
        return _call(self.connection.scripts.fill, keys, arguments)

    async def release(self, fill: Fill, names: Collection[str] | None = None) -> None:
        """Give back the leases of names that will not be filled, of all without `names`, so that nobody waits."""
        given = fill.spots if names is None else names
        held = [spot.place for name, spot in fill.spots.items() if name in given and name not in fill.lost]
        await self._give_back(fill.owner, held)

    async def _give_back(self, owner: bytes, places: Iterable[Place]) -> None:
        parts: dict[int, list[bytes]] = {}
        for place in places:
            parts.setdefault(place.partition, []).append(place.lease)
        release = self.connection.scripts.release
        commands = [_call(release, leases, [owner]) for leases in parts.values()]
        if owner and commands:
            await self._write("release", commands)

    async def mark(self) -> Mark:
        """Return what a put says of when its transaction began. Call it before the transaction commits."""
        return await self._generations.mark()

    def fences(self) -> Fences:
        """Return the fences of a transaction that begins."""
        return Fences(self.connection, self.layout, self._fence_s, self._clock)

    async def put(
        self,
        resource: Resource,
        name: str,
        version: int,
        rank: Rank,
        position: int,
        message: bytes = b"",
        *,
        mark: Mark,
        seen: int = 0,
    ) -> str:
        """Offer a row that this process has just committed, and return the answer.

        `position` was read in the same transaction while the row was locked (`Change.position`), `mark` before it
        committed, `seen` after it. Call it only once the commit is known: a commit in doubt is the relay's to tell.

        Returns:
            `ok`; `confirmed` when the relay had applied this very change already; `older` when a newer version is
            there; `behind` when a later change has been applied; `reborn` when the partition began a new generation
            since `mark`; `fenced` when the record is STRONG and the fence of this write stands no more; `nometa` while
            it has no relay; `failed` when Redis did not answer. Whatever it is, the relay sees to the rest.
        """
        place = self.layout.place(resource.table, name)
        generation = mark[place.partition]
        keys = [self.layout.meta(place.partition), place.entry]
        if resource.is_fenced:
            keys.append(self.layout.fences(place.partition))
        offer = self._offer(resource, place, version, rank, position, message, seen)
        arguments = (generation, *offer, place.floor)
        try:
            reply = await self.connection.execute(_call(self.connection.scripts.put, keys, arguments))
        except CacheError:
            return _count_writes("put", ["failed"])[0]
        answer, present = reply[0]
        self._generations.see(place.partition, present or None)
        return _count_writes("put", [answer.decode()])[0]

    def _offer(
        self,
        resource: Resource,
        place: Place,
        version: int,
        rank: Rank,
        position: int,
        message: bytes,
        seen: int,
        cost_s: float = 0.0,
    ) -> tuple[bytes | int, ...]:
        """Return the five arguments by which a script takes a row, which it took `cost_s` to get."""
        policy = resource.cache
        ttl_s = policy.ttl_s if rank is Rank.VALUE else policy.negative_ttl_s
        # Shortened by up to a tenth, so that what came together does not go together.
        ttl_ms = max(1, round(ttl_s * 1000 * (1 - TTL_JITTER * self._chance())))
        expiry_ms, cost_ms = (
            round(self._clock.now_s() * 1000) + ttl_ms,
            min(round(cost_s * 1000), COST_MS_MAX),
        )
        content = body(resource.revision, message, seen=seen, expiry_ms=expiry_ms, cost_ms=cost_ms)
        return place.bucket, stamp(version, rank), hexed(position), ttl_ms, content

    async def _write(self, operation: str, commands: Sequence[Command]) -> None:
        """Run scripts that answer for each of their keys, and count the answers."""
        try:
            replies = await self.connection.execute(*commands)
        except CacheError:
            _count_writes(operation, ["failed"] * len(commands))
        else:
            _count_writes(operation, [answer.decode() for answers in replies for answer in answers])


def _call(script: Script, keys: Sequence[bytes], arguments: Sequence[bytes | int]) -> Command:
    return ("EVALSHA", script.digest, len(keys), *keys, *arguments)


def _by_partition(places: Iterable[tuple[str, Place]]) -> dict[int, list[tuple[str, Place]]]:
    parts: dict[int, list[tuple[str, Place]]] = {}
    for name, place in places:
        parts.setdefault(place.partition, []).append((name, place))
    return parts


def _count_writes(operation: str, answers: list[str]) -> list[str]:
    for answer in set(answers):
        telemetry.CACHE_WRITES.add(answers.count(answer), _written(operation, answer))
    return answers


def _tell(
    resource: Resource,
    places: Sequence[Place],
    told: Callable[[Sequence[Entry | None]], None],
    found: Found | CacheError,
) -> None:
    if isinstance(found, CacheError):
        _count_reads(resource, len(places), "failure")
        told([None] * len(places))
    else:
        told(_answers(resource, places, found))


def _answers(resource: Resource, places: Sequence[Place], found: Found) -> list[Entry | None]:
    """Return the entry of each place, and count them."""
    answers = found.entries(places, padded(resource.revision))
    hits = len(answers) - answers.count(None)
    _count_reads(resource, hits, "hit")
    _count_reads(resource, len(answers) - hits, "miss")
    return answers


def _count_reads(resource: Resource, count: int, reason: str) -> None:
    if count:
        telemetry.CACHE_READS.add(count, _attributes(resource.type, reason))


@lru_cache(maxsize=4096)
def _written(operation: str, answer: str) -> Mapping[str, str]:
    return {telemetry.OPERATION: operation, telemetry.REASON: answer}


@lru_cache(maxsize=4096)
def _attributes(type_: str, reason: str) -> Mapping[str, str]:
    return {telemetry.RESOURCE: type_, telemetry.REASON: reason}
