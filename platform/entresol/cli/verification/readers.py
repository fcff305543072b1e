"""Reads records as a client does: Get over gRPC, from one server after the other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from google.protobuf.message import Message

from entresol.cli.verification.ledger import State, Watched
from entresol.clock import Clock
from entresol.errors import Code, ConfigurationError
from entresol.schema.model import MethodKind, Model
from entresol.service.call import ANSWERED_BY_KEY, CONSISTENCY_KEY, SHOW_VERSION_KEY, VERSION_KEY
from entresol.service.status import CallFailedError
from entresol.storage.identifiers import full_name
from entresol.transport.caller import Caller

CONCURRENCY = 32
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What `target` answered to a Get that began at `began_s` of the monotonic clock; no message: not found."""

    target: str
    began_s: float
    answered_by: str
    state: State
    message: Message | None


class Readers:
    """A connection to each target. Use it as a context manager."""

    def __init__(
        self, targets: Sequence[str], model: Model, metadata: Mapping[str, str], clock: Clock
    ) -> None:
        self.targets = tuple(targets)
        self._callers = {target: Caller(target, timeout_s=TIMEOUT_S) for target in targets}
        self._turns = itertools.cycle(targets)
        self._paths = {
            full_name(method.resource.table): method.path
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
                for path in self._paths.values():
                    caller.method(path)
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def can_read(self, table: str) -> bool:
        """Tell whether records of the table have a Get method."""
        return table in self._paths

    def next_target(self) -> str:
        """Return the target whose turn it is."""
        return next(self._turns)

    async def read(self, record: Watched, target: str, *, from_primary: bool = False) -> Reading:
        """Get the record from this target, which may answer from its cache or, with `from_primary`, may not.

        Raises:
            CallFailedError: it failed, other than by not finding the record.
            ConfigurationError: the target does not tell versions.
        """
        strong = {CONSISTENCY_KEY: "strong"} if from_primary else {}
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._read, record, target, {**self._metadata, **strong}
        )

    def _read(self, record: Watched, target: str, metadata: Mapping[str, str]) -> Reading:
        began_s = self._clock.monotonic_s()
        message: Message | None = None
        try:
            answer = self._callers[target].call(self._paths[record.table], {"name": record.name}, metadata)
            message, trailing = answer.reply, answer.trailing
        except CallFailedError as error:
            trailing = error.trailing
            if error.status.code != Code.NOT_FOUND or ANSWERED_BY_KEY not in trailing:
                raise
        if VERSION_KEY not in trailing:
            raise ConfigurationError(f"{target} does not tell {VERSION_KEY}: it needs a newer server")
        state = State(int(trailing[VERSION_KEY]), message is not None)
        return Reading(target, began_s, trailing.get(ANSWERED_BY_KEY, ""), state, message)
