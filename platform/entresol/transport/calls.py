"""Between a wire and a method: what every transport does alike to begin a call and to end it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from entresol.errors import Code, UnimplementedError
from entresol.service.call import TRACE_KEY, Call
from entresol.service.status import CallFailedError, status_of
from entresol.transport.wire import BINARY, binary_text, status_text

DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
# What a wire still takes in, so that the decode link can say by how much a message is too large.
HARD_SIZE_FACTOR = 4


def serialized(reply: Any) -> bytes:
    """Return the bytes of one reply, which may be bytes already."""
    if isinstance(reply, bytes):
        return reply
    message: Message = reply
    return message.SerializeToString()


@asynccontextmanager
async def closing(replies: Any) -> AsyncIterator[None]:
    """Close a stream of replies when the block ends, if it can be closed, so that its `finally` runs now."""
    try:
        yield
    finally:
        if (close := getattr(replies, "aclose", None)) is not None:
            await close()


def trailing(call: Call) -> Iterator[tuple[str, str | bytes]]:
    """Yield the metadata that goes back behind the reply."""
    yield from call.trailing.items()
    if call.trace_id:
        yield TRACE_KEY, call.trace_id


def failure(error: Exception, call: Call) -> CallFailedError:
    """Return `error` as what a caller is told, whatever it is."""
    if isinstance(error, CallFailedError):
        return error
    return CallFailedError(status_of(error, _service(call.method.path), call.trace_id))


def failed(error: Exception, path: str) -> CallFailedError:
    """Return `error` as what the caller of `path` is told when no call has begun."""
    return CallFailedError(status_of(error, _service(path), ""))


def unknown(path: str) -> UnimplementedError:
    """Return the answer to a path that nothing serves: it has an ErrorInfo, as every error (AIP-193)."""
    name = path.rpartition("/")[2]
    text = f"{_service(path)} has no method {name}, or this server does not serve it"
    return UnimplementedError(text, metadata={"method": path})


def _service(path: str) -> str:
    return path.strip("/").rpartition("/")[0]


def pushback(status: status_pb2.Status) -> Iterator[tuple[str, str]]:
    """Yield what the retries of gRPC itself heed (gRFC A6), for they cannot read details.

    It is when to try again, which they do on the moment: so of callers who were refused together each is told another.
    Where a bound was reached that no waiting moves, it is not to.
    """
    info = error_details_pb2.RetryInfo()
    if any(detail.Unpack(info) for detail in status.details):
        spread = random.uniform(1, 2)  # noqa: S311 - no secret
        yield PUSHBACK_KEY, str(round(info.retry_delay.ToMilliseconds() * spread))
    elif status.code == Code.RESOURCE_EXHAUSTED:
        yield PUSHBACK_KEY, "-1"


def status_headers(error: CallFailedError) -> list[tuple[bytes, bytes]]:
    """Return what tells a peer that its call failed, and how."""
    status = error.status
    return [
        (b"grpc-status", b"%d" % status.code),
        (b"grpc-message", status_text(status.message)),
        (DETAILS_KEY.encode(), binary_text(status.SerializeToString())),
        *((key.encode(), value.encode()) for key, value in pushback(status)),
    ]


def encoded_trailing(call: Call) -> list[tuple[bytes, bytes]]:
    """Return the trailing metadata as gRPC's headers hold it."""
    return [_pair(key, value) for key, value in trailing(call)]


def encoded(metadata: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    """Return metadata as gRPC's headers hold it."""
    return [_pair(key, value) for key, value in metadata.items()]


@lru_cache(maxsize=1024)
def _pair(key: str, value: str | bytes) -> tuple[bytes, bytes]:
    return key.encode(), binary_text(_bytes(value)) if key.endswith(BINARY) else _bytes(value)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
