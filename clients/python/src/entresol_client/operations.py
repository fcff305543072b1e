"""Long-running operations as futures (AIP-151, AIP-4210): one that blocks, one that is awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Generic, TypeVar

from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from entresol_client.errors import DeadlineExceededError, UnknownError
from entresol_client.method import LongMethod, MetadataT, Method, ResultT
from entresol_client.status import error_of_status

MessageT = TypeVar("MessageT", bound=Message)

_PATH = "/google.longrunning.Operations"
# Waiting is no read for hedging: it takes long where all is well.
_GET: Any = Method(
    f"{_PATH}/GetOperation",
    operations_pb2.GetOperationRequest,
    operations_pb2.Operation,
    first="name",
    read=True,
    routing=("name",),
)
_WAIT: Any = Method(
    f"{_PATH}/WaitOperation",
    operations_pb2.WaitOperationRequest,
    operations_pb2.Operation,
    first="name",
    idempotent=True,
)
_CANCEL: Any = Method(
    f"{_PATH}/CancelOperation",
    operations_pb2.CancelOperationRequest,
    Empty,
    first="name",
    idempotent=True,
    routing=("name",),
)

WAIT_S = 20.0  # of one call; proxies and servers end those that take much longer
_SPARE_S = 5.0  # for the way there and back
_PAUSE_S, _PAUSE_MAX_S = 0.2, 10.0


class Patience:
    """How long to wait, call by call: no input or output."""

    def __init__(self, timeout: float | None, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._end_s = None if timeout is None else monotonic_s() + timeout
        self._began_s = self._asked_s = 0.0
        self._pause_s = _PAUSE_S

    def ask_s(self, name: str) -> float:
        """Return how long the server may wait before it answers.

        Raises:
            TimeoutError: the time is over.
        """
        self._began_s = self._monotonic_s()
        self._asked_s = min(WAIT_S, self._left_s())
        if self._asked_s <= 0:
            raise TimeoutError(f"{name} is not done yet, and goes on")
        return self._asked_s

    def pause_s(self) -> float:
        """Return how long to wait before it is asked again: a server that does not wait, less and less often."""
        if self._monotonic_s() - self._began_s >= self._asked_s / 2:
            return 0.0
        pause_s, self._pause_s = self._pause_s, min(_PAUSE_MAX_S, self._pause_s * 2)
        return max(0.0, min(pause_s, self._left_s()))

    def _left_s(self) -> float:
        return WAIT_S if self._end_s is None else self._end_s - self._monotonic_s()


class _Told(Generic[ResultT, MetadataT]):
    """What was last heard of an operation. `message` is that, as `google.longrunning.Operation`."""

    def __init__(
        self,
        connection: Any,
        method: LongMethod[Any, ResultT, MetadataT],
        message: Any,
        options: Mapping[str, Any],
    ) -> None:
        self.message = message
        self._connection = connection
        self._method = method
        # Credentials are those of the call that began it.
        self._options = {key: options[key] for key in ("metadata",) if key in options}

    @property
    def name(self) -> str:
        """Return the name, by which any client can ask for it."""
        return str(self.message.name)

    def _waiting(self, asked_s: float) -> tuple[Any, Mapping[str, Any]]:
        request = _WAIT.request(self.name, timeout=timedelta(seconds=asked_s))
        return request, {**self._options, "timeout": asked_s + _SPARE_S}

    def _result(self) -> ResultT:
        if self.message.HasField("error"):
            raise error_of_status(self.message.error)
        return self._unpacked(self.message.response, self._method.result_class)

    def _metadata(self) -> MetadataT:
        return self._unpacked(self.message.metadata, self._method.metadata_class)

    def _unpacked(self, packed: Any, kind: type[MessageT]) -> MessageT:
        message = kind()
        if not packed.Unpack(message):
            raise UnknownError(f"{self.name} tells of a {packed.type_url!r}, not of a {kind.__name__}")
        return message


class Operation(_Told[ResultT, MetadataT]):
    """An operation that a call began; it goes on whether or not anybody waits."""

    def done(self) -> bool:
        """Ask whether it has ended, well or not."""
        if not self.message.done:
            self.message = self._connection.unary(_GET, _GET.request(self.name), self._options)
        return bool(self.message.done)

    def metadata(self) -> MetadataT:
        """Ask how far it is."""
        self.done()
        return self._metadata()

    def result(self, timeout: float | None = None) -> ResultT:
        """Wait for the end, at most `timeout` seconds, and return what came of it.

        Raises:
            EntresolError: that of the operation, or of asking for it.
            TimeoutError: it is not done in time.
        """
        patience = Patience(timeout)
        while not self.message.done:
            request, options = self._waiting(patience.ask_s(self.name))
            with suppress(DeadlineExceededError):
                self.message = self._connection.unary(_WAIT, request, options)
            if not self.message.done:
                time.sleep(patience.pause_s())
        return self._result()

    def cancel(self) -> None:
        """Ask for its end; `result` tells whether it came to that."""
        self._connection.unary(_CANCEL, _CANCEL.request(self.name), self._options)


class AsyncOperation(_Told[ResultT, MetadataT]):
    """An operation that a call began; it goes on whether or not anybody waits."""

    async def done(self) -> bool:
        """Ask whether it has ended, well or not."""
        if not self.message.done:
            self.message = await self._connection.unary(_GET, _GET.request(self.name), self._options)
        return bool(self.message.done)

    async def metadata(self) -> MetadataT:
        """Ask how far it is."""
        await self.done()
        return self._metadata()

    async def result(self, timeout: float | None = None) -> ResultT:  # noqa: ASYNC109 - as futures have it
        """Wait for the end, at most `timeout` seconds, and return what came of it.

        Raises:
            EntresolError: that of the operation, or of asking for it.
            TimeoutError: it is not done in time.
        """
        patience = Patience(timeout)
        while not self.message.done:
            request, options = self._waiting(patience.ask_s(self.name))
            with suppress(DeadlineExceededError):
                self.message = await self._connection.unary(_WAIT, request, options)
            if not self.message.done:
                await asyncio.sleep(patience.pause_s())
        return self._result()

    async def cancel(self) -> None:
        """Ask for its end; `result` tells whether it came to that."""
        await self._connection.unary(_CANCEL, _CANCEL.request(self.name), self._options)
