"""A Redis Cluster: a connection to each primary, and each command to the one that has its key.

All keys of a partition share a slot (`keys.py`), so that no command and no script needs two servers. Which server has
a slot is learnt from any of them when first needed, and again when one fails, or says that a slot has moved; what
failed meanwhile is a failure like any other, and is made good like any other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from redis.crc import key_slot

from entresol import telemetry
from entresol.cache.address import Address, Addresses
from entresol.cache.asking import ask_first
from entresol.cache.breaker import Breaker
from entresol.cache.connection import Connection
from entresol.cache.failure import CacheError
from entresol.cache.scripts import Scripts
from entresol.cache.wire import Command, Reply
from entresol.life import Absence, Facts

log = logging.getLogger(__name__)

SLOTS = 16384
AGAIN_S = 0.2  # between two looks at which server has which slot
_KEY_OF_SCRIPT = 3  # place of the first key in EVALSHA; of all other commands 1
_Range = tuple[int, int, str, int]  # of slots, and the host and port of their server


class Cluster(Connection):
    """Connections to all servers of a cluster that have keys, in the place of one. Each has a breaker of its own."""

    def __init__(
        self,
        addresses: Addresses,
        *,
        timeout_s: float,
        breaker: Callable[[], Breaker],
        scripts: Scripts | None = None,
    ) -> None:
        super().__init__(addresses, timeout_s=timeout_s, breaker=breaker(), scripts=scripts)
        self._make_breaker = breaker
        self._seeds = addresses.hosts
        self._nodes: dict[tuple[str, int], Connection] = {}
        self._by_slot: list[Connection | None] = []
        self._learning: asyncio.Task[None] | None = None
        self._learn_again_s = 0.0  # on the loop's clock
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def is_away(self) -> bool:
        """Whether no server of the cluster is asked."""
        return bool(self._nodes) and all(node.is_away for node in self._nodes.values())

    @property
    def absence(self) -> Absence:
        """Return why no server of the cluster is asked, and since when."""
        if not self.is_away:
            return super().absence
        each = [(node.address, node.absence) for node in self._nodes.values()]
        reasons = "; ".join(f"{address}: {absence.reason}" for address, absence in each)
        return Absence(reasons, max(absence.since_s for _, absence in each))

    def states(self) -> list[Facts]:
        """Return what is known of each server that has keys of its own."""
        return [state for node in self._nodes.values() for state in node.states()] or super().states()

    async def nodes(self) -> Sequence[Connection]:
        """Return a connection to each server that has keys of its own."""
        await self._known()
        return tuple(self._nodes.values())

    async def by_node(self, keys: Sequence[bytes]) -> Sequence[tuple[Connection, Sequence[bytes]]]:
        """Return the servers of keys, each with those that it has."""
        await self._known()
        found: dict[Connection, list[bytes]] = {}
        for key in keys:
            found.setdefault(self._node(key), []).append(key)
        return tuple(found.items())

    def send(self, commands: Sequence[Command]) -> asyncio.Future[list[Reply | CacheError]]:
        """Return the future replies of `commands`; those of a server that fails are errors."""
        return asyncio.ensure_future(self._replies(commands))

    async def execute(self, *commands: Command) -> list[Reply]:
        """Return the replies of `commands`; those of one server are sent together and in this order.

        Raises:
            CacheError: one of the servers is away, or refused something; others may have done their part.
        """
        replies = await self._replies(commands)
        for reply in replies:
            if isinstance(reply, CacheError):
                raise reply
        return replies

    async def close(self) -> None:
        """Close all connections, and wait until they are gone."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.wait([self._learning])
        nodes = [*self._nodes.values()]
        self._nodes, self._by_slot = {}, []
        await asyncio.gather(*(node.close() for node in nodes), *self._closing)

    async def _replies(self, commands: Sequence[Command]) -> list[Reply | CacheError]:
        await self._known()
        places: dict[Connection, list[int]] = {}
        replies: list[Reply | CacheError] = [None] * len(commands)
        for place, command in enumerate(commands):
            try:
                node = self._node(_key(command))
            except CacheError as error:
                replies[place] = error
            else:
                places.setdefault(node, []).append(place)
        done = await asyncio.gather(*(_ask(node, commands, chosen) for node, chosen in places.items()))
        for chosen, answers in zip(places.values(), done, strict=True):
            for place, answer in zip(chosen, answers, strict=True):
                replies[place] = answer
        if any(isinstance(reply, CacheError) for reply in replies):
            self._learn()
        return replies

    def _node(self, key: bytes) -> Connection:
        node = self._by_slot[key_slot(key)]
        if node is None:
            raise CacheError(f"no server has the slot of {key.decode(errors='replace')}", "uncovered")
        return node

    async def _known(self) -> None:
        """Return once it is known which server has which slot; it may be out of date.

        Raises:
            CacheError: no server of the cluster answers.
        """
        if not self._by_slot:
            if not self.breaker.allows():
                raise CacheError("the breaker is open", "open")
            learning = self._learning or self._learn_now()
            await asyncio.wait([learning])
            if not self._by_slot:
                raise CacheError("no server of the cluster answers", "unreachable")

    def _learn(self) -> None:
        """Learn anew, behind the back of who found out that something has changed, and not all the time."""
        if self._learning is None and asyncio.get_running_loop().time() >= self._learn_again_s:
            self._learn_now()

    def _learn_now(self) -> asyncio.Task[None]:
        self._learning = asyncio.create_task(self._ask_for_slots(), name="entresol cluster slots")
        return self._learning

    async def _ask_for_slots(self) -> None:
        try:
            known = [seed.at(*place) for place in self._nodes for seed in self._seeds[:1]]
            _, ranges = await ask_first([*known, *self._seeds], [("CLUSTER", "SLOTS")], _ranges)
        except CacheError as error:
            self.breaker.fail()
            telemetry.CACHE_FAILURES.add(1, {telemetry.REASON: error.reason})
            if self._by_slot:
                log.warning("which server of the cluster has which slot is not known anew: %s", error)
        else:
            self.breaker.succeed()
            self._take(ranges)
        finally:
            self._learn_again_s = asyncio.get_running_loop().time() + AGAIN_S
            self._learning = None

    def _take(self, ranges: Iterable[_Range]) -> None:
        by_slot: list[Connection | None] = [None] * SLOTS
        nodes: dict[tuple[str, int], Connection] = {}
        for first, last, host, port in ranges:
            node = nodes.get((host, port)) or self._nodes.get((host, port)) or self._connection(host, port)
            nodes[host, port] = node
            by_slot[first : last + 1] = [node] * (last + 1 - first)
        for place, node in self._nodes.items():
            if place not in nodes:
                task = asyncio.create_task(node.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        if nodes.keys() != self._nodes.keys():
            log.info("the cluster's servers with keys: %s", ", ".join(f"{h}:{p}" for h, p in nodes))
        self._nodes, self._by_slot = nodes, by_slot

    def _connection(self, host: str, port: int) -> Connection:
        like: Address = self._seeds[0]
        only = Addresses("server", (like.at(host, port),))
        return Connection(only, timeout_s=self._timeout_s, breaker=self._make_breaker(), scripts=self.scripts)


async def _ask(
    node: Connection, commands: Sequence[Command], places: Sequence[int]
) -> Sequence[Reply | CacheError]:
    try:
        return await node.execute(*(commands[place] for place in places))
    except CacheError as error:
        return [error] * len(places)


def _key(command: Command) -> bytes:
    key = command[_KEY_OF_SCRIPT if command[0] == "EVALSHA" else 1]
    return key if isinstance(key, bytes) else str(key).encode()


def _ranges(replies: list[Reply]) -> list[_Range]:
    """Return what CLUSTER SLOTS says of primaries."""
    found = [(first, last, host.decode(), port) for first, last, (host, port, *_), *_ in replies[0] if host]
    if not found:
        raise CacheError("it knows no server with slots", "uncovered")
    return found
