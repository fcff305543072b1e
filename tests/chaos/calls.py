"""How a client asks: of a platform in its own process, or of servers over the wire. Both look the same to it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from entresol.app import Platform
from entresol.errors import Code
from entresol.service.call import Call, finished
from entresol.service.status import CallFailedError

_DETAILS_KEY = "grpc-status-details-bin"
# After these, and with an ErrorInfo that says so, nothing was changed.
_DEFINITE = {
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.ABORTED,
    Code.FAILED_PRECONDITION,
    Code.RESOURCE_EXHAUSTED,
}
_NOT_DONE = "DATABASE_UNAVAILABLE"
_NOTHING: Mapping[str, str] = MappingProxyType({})
SHUNNED_S = 0.3

CHANNEL_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
]


class RefusedError(Exception):
    """A call failed. `reason` is empty when it was the connection, and no server, that said so."""

    def __init__(
        self, code: int, reason: str, retry_s: float | None, text: str, trailing: Mapping[str, str] = _NOTHING
    ) -> None:
        super().__init__(text)
        self.code = code
        self.reason = reason
        self.retry_s = retry_s
        self.trailing = trailing

    @property
    def is_definite(self) -> bool:
        """Whether the server promises that nothing was changed."""
        return self.reason == _NOT_DONE or (bool(self.reason) and self.code in _DEFINITE)

    @classmethod
    def of(cls, status: status_pb2.Status, trailing: Mapping[str, str]) -> RefusedError:
        """Return the error of a status, and of what came behind it."""
        reason, retry_s = "", None
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        for detail in status.details:
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(retry):
                retry_s = retry.retry_delay.ToTimedelta().total_seconds()
        return cls(status.code, reason, retry_s, status.message, trailing)


@dataclass(frozen=True, slots=True)
class Answer:
    """The serialized reply, and what came behind it."""

    reply: bytes
    trailing: Mapping[str, str]


class Server(Protocol):
    """Whoever answers calls."""

    async def call(self, path: str, request: bytes, metadata: Mapping[str, str], timeout_s: float) -> Answer:
        """Return the answer of `/package.Service/Method`, or raise RefusedError."""


class PlatformServer:
    """A platform in this process: the whole way of a call but for the wire."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def call(self, path: str, request: bytes, metadata: Mapping[str, str], timeout_s: float) -> Answer:
        route = self._platform.table[path]
        call = Call(route.method, metadata, self._platform.clock, timeout_s)
        try:
            reply: Any = await finished(route.handler(request, call))
        except CallFailedError as error:
            raise RefusedError.of(error.status, call.trailing) from error
        return Answer(reply if isinstance(reply, bytes) else reply.SerializeToString(), call.trailing)


class WireServers:
    """Servers behind addresses; each call goes to one at random that has not just broken, as a load balancer does."""

    def __init__(self, addresses: Sequence[str], dice: random.Random) -> None:
        self._channels = [grpc.aio.insecure_channel(address, CHANNEL_OPTIONS) for address in addresses]
        self._broken_s = dict.fromkeys(range(len(addresses)), -SHUNNED_S)
        self._dice = dice

    async def call(self, path: str, request: bytes, metadata: Mapping[str, str], timeout_s: float) -> Answer:
        number = self._choose()
        calling = self._channels[number].unary_unary(path)(
            request, timeout=timeout_s, metadata=tuple(metadata.items())
        )
        try:
            reply = await calling
            trailing = _texts(await calling.trailing_metadata())
        except grpc.aio.AioRpcError as error:
            refused = RefusedError.of(_status(error), _texts(error.trailing_metadata()))
            if not refused.reason:
                self._broken_s[number] = time.monotonic()
            raise refused from error
        return Answer(reply, trailing)

    def _choose(self) -> int:
        now_s = time.monotonic()
        whole = [number for number, broken_s in self._broken_s.items() if now_s - broken_s > SHUNNED_S]
        return self._dice.choice(whole or list(self._broken_s))

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()


def _texts(metadata: Any) -> dict[str, str]:
    return {key: value for key, value in metadata or () if isinstance(value, str)}


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=error.code().value[0], message=error.details() or "")
