"""Reads records as a client does, Get over gRPC from one server after the other, and as the primary has them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from google.protobuf.message import Message

from entresol.cli.verification.ledger import State, Watched
from entresol.clock import Clock
from entresol.errors import Code, ConfigurationError
from entresol.schema.model import MethodKind, Model
from entresol.service.call import ANSWERED_BY_KEY, PRIMARY, SHOW_VERSION_KEY, VERSION_KEY
from entresol.service.status import CallFailedError
from entresol.storage.identifiers import full_name
from entresol.storage.store import Store
from entresol.transport.caller import Caller, Metadata

CONCURRENCY = 32
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What `target` answered to a read that began at `began_s` of the monotonic clock; no message: not found."""

    target: str
    began_s: float
    answered_by: str
    state: State
    message: Message | None


class Readers:
    """A connection to each target. Use it as a context manager."""

    def __init__(self, targets: Sequence[str], model: Model, metadata: Metadata, clock: Clock) -> None:
        self.targets = tuple(targets)
        self._callers = {target: Caller(target, timeout_s=TIMEOUT_S) for target in targets}
        self._turns = itertools.cycle(targets)
        self._methods = {
            full_name(method.resource.table): method
            for method in model.methods.values()
            if method.kind is MethodKind.GET and method.resource is not None
        }
        self._metadata = {**metadata, SHOW_VERSION_KEY: "true"}
        self._clock = clock
        self._threads = ThreadPoolExecutor(CONCURRENCY, "entresol verify")
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Ask every target for the methods that are needed.

        Raises:
            CallFailedError: one cannot be reached.
            InvalidArgumentError: one does not serve these protos.
        """
        self._open.callback(self._threads.shutdown, cancel_futures=True)
        for caller in self._callers.values():
            self._open.enter_context(caller)
        try:
            for caller in self._callers.values():
                for method in self._methods.values():
                    caller.method(method.path)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def can_read(self, table: str) -> bool:
        """Tell whether records of the table have a Get method."""
        return table in self._methods

    def next_target(self) -> str:
        """Return the target whose turn it is."""
        return next(self._turns)

    async def read(self, record: Watched, target: str) -> Reading:
        """Get the record from this target.

        Raises:
            CallFailedError: it failed, other than by not finding the record.
            ConfigurationError: the target does not tell versions.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, record, target)

    def _read(self, record: Watched, target: str) -> Reading:
        method, request = self._methods[record.table], {"name": record.name}
        began_s = self._clock.monotonic_s()
        message: Message | None = None
        try:
            answer = self._callers[target].call(method.path, request, self._metadata)
            message = method.output_class.FromString(answer.reply.SerializeToString())
            trailing = answer.trailing
        except CallFailedError as error:
            trailing = error.trailing
            if error.status.code != Code.NOT_FOUND or ANSWERED_BY_KEY not in trailing:
                raise
        if VERSION_KEY not in trailing:
            raise ConfigurationError(f"{target} does not tell {VERSION_KEY}: it needs a newer server")
        state = State(int(trailing[VERSION_KEY]), message is not None)
        return Reading(target, began_s, trailing.get(ANSWERED_BY_KEY, ""), state, message)


class Primary:
    """What the database has: read past the servers, whose STRONG reads of some resources are hits, too."""

    def __init__(self, store: Store, model: Model, clock: Clock) -> None:
        self._store = store
        self._resources = {full_name(resource.table): resource for resource in model.resources.values()}
        self._clock = clock

    async def read(self, record: Watched) -> Reading:
        """Read the row.

        Raises:
            EntresolError: it cannot be read.
        """
        resource = self._resources[record.table]
        began_s = self._clock.monotonic_s()
        read = await self._store.get(resource, [record.name], primary=True, timeout_s=TIMEOUT_S)
        row = read.rows.get(record.name)
        if row is None:
            return Reading(PRIMARY, began_s, PRIMARY, State(0, is_found=False), None)
        message = resource.message_class.FromString(row.message)
        return Reading(PRIMARY, began_s, PRIMARY, State(row.version, is_found=True), message)
