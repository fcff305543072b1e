"""The way to the server: connected when first needed, again when lost, and failing fast while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from entresol import telemetry
from entresol.cache.address import Address, Addresses
from entresol.cache.breaker import Breaker
from entresol.cache.failure import CacheError
from entresol.cache.scripts import Scripts
from entresol.cache.sentinel import Sentinels
from entresol.cache.wire import Command, Reply, Wire
from entresol.life import Absence, Facts


class Connection:
    """One shared connection to one server, owned by one event loop.

    redis-py reads the URL; the connection itself is ours, because one redis-py command costs the processor
    several times what a whole batch costs here.
    """

    def __init__(
        self, addresses: Addresses, *, timeout_s: float, breaker: Breaker, scripts: Scripts | None = None
    ) -> None:
        self.scripts = scripts or Scripts.load()
        self._script_names = self.scripts.names()
        self.breaker = breaker
        self._addresses = addresses
        self._sentinels = Sentinels(addresses) if addresses.kind == "sentinel" else None
        self._timeout_s = timeout_s
        self._wire: Wire | None = None
        self._opening: asyncio.Task[Wire] | None = None
        self._address = addresses.hosts[0]  # that was called last
        self._failure = ""  # how the last command failed

    @property
    def address(self) -> str:
        """Return where the server was called last, without its password."""
        return str(self._address)

    @property
    def absence(self) -> Absence:
        """Return why the server is taken to be away, and since when; without a reason it is there."""
        return Absence(self._failure, self.breaker.opened_s) if self.breaker.is_open else Absence()

    @property
    def label(self) -> str:
        """Return what people call the server, or the first of those that know it."""
        return str(self._addresses.hosts[0])

    @property
    def is_away(self) -> bool:
        """Whether the server has failed so often that it is not asked."""
        return self.breaker.is_open

    def states(self) -> list[Facts]:
        """Return what is known of each server that has keys of its own."""
        return [{"address": self.address, "live": not self.is_away, **self.absence.facts()}]

    async def nodes(self) -> Sequence[Connection]:
        """Return a connection to each server that has keys of its own."""
        return (self,)

    async def by_node(self, keys: Sequence[bytes]) -> Sequence[tuple[Connection, Sequence[bytes]]]:
        """Return the servers of keys, each with those that it has."""
        return ((self, keys),)

    def send(self, commands: Sequence[Command]) -> asyncio.Future[list[Reply | CacheError]]:
        """Return the future replies of `commands`: as `execute`, without a task while all is well.

        Where several servers have the keys, those of one that fails are errors, and no others.
        """
        wire = self._wire
        if wire is None or not wire.is_open or self.breaker.is_open:
            return asyncio.ensure_future(self.execute(*commands))
        try:
            replies = wire.send(commands, at_once=True)
        except CacheError as error:
            replies = asyncio.get_running_loop().create_future()
            replies.set_exception(error)
        replies.add_done_callback(self._note)
        return replies

    async def execute(self, *commands: Command) -> list[Reply]:
        """Return the replies of `commands`, sent together and in this order.

        Raises:
            CacheError: the server is away, or refused one of them. The failure is counted, and never logged:
                the breaker and the counter tell operators more than a line per call would.
        """
        if not commands:
            return []
        if not self.breaker.allows():
            raise CacheError("the breaker is open", "open")
        try:
            with telemetry.span(telemetry.SPAN_CACHE, self._operation(commands[0])):
                wire = self._wire
                if wire is None or not wire.is_open:
                    wire = await self._reopened()
                replies = await wire.send(commands)
        except CacheError as error:
            self._fail(error)
            raise
        self.breaker.succeed()
        return replies

    async def close(self) -> None:
        """Close the connection, if there is one, and wait until it is gone."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
            await wire.ended()

    def _operation(self, command: Command) -> str:
        """Return the name of a command, or of the script that it runs, by which traces know what it begins."""
        if not telemetry.recording():
            return ""
        return self._script_names.get(command[1], "script") if command[0] == "EVALSHA" else str(command[0])

    def _note(self, replies: asyncio.Future[list[Reply]]) -> None:
        """Tell the breaker how it went; nothing when nobody waited for it."""
        if replies.cancelled():
            return
        error = replies.exception()
        if error is None:
            self.breaker.succeed()
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.breaker.fail()
        if not (isinstance(error, CacheError) and error.reason == "open"):
            self._failure = str(error)
        reason = error.reason if isinstance(error, CacheError) else type(error).__name__
        telemetry.CACHE_FAILURES.add(1, {telemetry.REASON: reason})

    async def _reopened(self) -> Wire:
        """Return a new connection, opened once for all who wait for it."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
            self._opening.add_done_callback(self._opened)
        opening = self._opening
        await asyncio.wait([opening])
        if opening.cancelled():
            raise CacheError("the connection was closed", "closed")
        return opening.result()

    def _opened(self, task: asyncio.Task[Wire]) -> None:
        self._opening = None
        if not task.cancelled() and task.exception() is None:
            self._wire = task.result()

    async def _open(self) -> Wire:
        address: Address = self._addresses.hosts[0]
        try:
            async with asyncio.timeout(self._timeout_s):
                if self._sentinels is not None:
                    address = await self._sentinels.primary()
                self._address = address
                wire = await address.dial(lambda: Wire(self._timeout_s))
        except (OSError, TimeoutError) as error:
            raise CacheError(f"{address} cannot be reached: {error!r}", "unreachable") from error
        try:
            await wire.send([*address.greeting(), *self.scripts.loading()])
            if self._sentinels is not None:
                await self._sentinels.check(wire)
        except BaseException:
            wire.close()
            raise
        return wire
