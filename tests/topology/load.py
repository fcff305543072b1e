"""Callers over a few connections, who note of each call what became of it: reads, writes with a key, and others."""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

from entresol.schema.model import Model

CALLERS, CHANNELS = 48, 8
TIMEOUT_S = 10.0  # longer than anything stands still
PAUSE_S = 0.01
SERVICE = "/stories.v1.UserService"
READ, KEYED, PLAIN, OWN = "read", "keyed write", "other write", "read of an own write"
KINDS = (READ, KEYED, PLAIN, OWN)
_SESSION = "entresol-session"
_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1)
]  # each channel has a connection of its own, and no retry policy


@dataclass(frozen=True, slots=True)
class Made:
    """One call that is over. `code` is empty where it was answered as it should be."""

    kind: str
    began_s: float
    ended_s: float
    code: str = ""
    text: str = ""


@dataclass(slots=True)
class Load:
    """What is asked of one address, and what came of it. `running` asks."""

    address: str
    model: Model
    dice: random.Random
    made: list[Made] = field(default_factory=list)
    under_way: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)  # of records whose creation was acknowledged
    _numbers: Any = field(default_factory=itertools.count)

    @asynccontextmanager
    async def running(self, callers: int = CALLERS, channels: int = CHANNELS) -> AsyncIterator[None]:
        """Ask while the block lasts; every call that began in it has ended when it is left."""
        opened = [grpc.aio.insecure_channel(self.address, _OPTIONS) for _ in range(channels)]
        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(callers):
                    group.create_task(self._ask(opened[number % channels], over))
                try:
                    yield
                finally:
                    over.set()
        finally:
            await asyncio.gather(*(channel.close() for channel in opened))

    def since(self, began_s: float, until_s: float = float("inf")) -> list[Made]:
        """Return the calls that were under way at some time between these moments."""
        return [call for call in self.made if call.ended_s >= began_s and call.began_s < until_s]

    async def _ask(self, channel: grpc.aio.Channel, over: asyncio.Event) -> None:
        while not over.is_set():
            draw = self.dice.random()
            if draw < 0.6 and self.names:
                await self.read(channel)
            else:
                await self.write(channel, is_keyed=draw < 0.8)
            await asyncio.sleep(self.dice.uniform(0, 2 * PAUSE_S))

    async def read(self, channel: grpc.aio.Channel) -> None:
        """Read a record by its name, or the first of all."""
        if self.dice.random() < 0.5:
            await self._call(channel, READ, "GetUser", {"name": self.dice.choice(self.names)})
        else:
            await self._call(channel, READ, "ListUsers", {"page_size": 1})

    async def write(self, channel: grpc.aio.Channel, *, is_keyed: bool) -> None:
        """Make a record; one with a key is read again by who made it."""
        key = f"u{next(self._numbers)}-{uuid.uuid4().hex[:8]}"
        fields: dict[str, Any] = {"user": {"display_name": key}, "user_id": key}
        if is_keyed:
            fields["request_id"] = str(uuid.uuid4())
        token = await self._call(channel, KEYED if is_keyed else PLAIN, "CreateUser", fields)
        if token is None:
            return
        self.names.append(f"users/{key}")
        if is_keyed:
            await self._call(
                channel,
                OWN,
                "GetUser",
                {"name": f"users/{key}"},
                metadata=((_SESSION, token),) if token else (),
            )

    async def _call(
        self,
        channel: grpc.aio.Channel,
        kind: str,
        name: str,
        fields: Mapping[str, Any],
        metadata: Sequence[tuple[str, str]] = (),
    ) -> str | None:
        """Return the session's token, or None where the call failed."""
        method = self.model.methods[f"{SERVICE}/{name}"]
        request = method.input_class(**fields).SerializeToString()
        calling = channel.unary_unary(method.path)(request, timeout=TIMEOUT_S, metadata=metadata)
        began_s, code, text, token = time.monotonic(), "", "", ""
        self.under_way[kind] += 1
        try:
            await calling
            token = str(dict(await calling.trailing_metadata() or ()).get(_SESSION, ""))
        except grpc.aio.AioRpcError as error:
            code, text = error.code().name, error.details() or ""
        finally:
            self.under_way[kind] -= 1
        self.made.append(Made(kind, began_s, time.monotonic(), code, text))
        return None if code else token


def lost(calls: Iterable[Made]) -> dict[str, int]:
    """Return how many calls of each kind failed."""
    failed = Counter(call.kind for call in calls if call.code)
    return {kind: failed[kind] for kind in KINDS}


def p50_ms(calls: Iterable[Made], kind: str = READ) -> float:
    """Return the median time of the calls of a kind that were answered."""
    times = [call.ended_s - call.began_s for call in calls if call.kind == kind and not call.code]
    return round(1000 * statistics.median(times), 1) if times else float("inf")
