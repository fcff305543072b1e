"""The server that Connect's conformance runner starts, once for each way to serve: its service on Entresol's wires.

The runner writes on standard input how to serve, and is told on standard output where; each is a message of the suite's
own protos with four bytes of length before it. https://github.com/connectrpc/conformance has what each method must do.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from tests.interop.foreign import any_protos

from entresol.config import Settings
from entresol.errors import UnimplementedError
from entresol.schema.load import load
from entresol.service import status
from entresol.service.registry import Context, Registry
from entresol.service.status import CallFailedError
from entresol.testing.running import RunningPlatform

PACKAGE = "connectrpc.conformance.v1"
functions = Registry()


def _method(name: str) -> Any:
    return functions.method(f"{PACKAGE}.ConformanceService.{name}")


@_method("Unary")
@_method("IdempotentUnary")
async def unary(request: Any, context: Context) -> Any:
    """Answer as the request says."""
    return await _one([request], request.response_definition, context)


@_method("Unimplemented")
async def unimplemented(_request: Any, _context: Context) -> Any:
    """Be what nobody has written."""
    raise UnimplementedError("this method is not written")


@_method("ClientStream")
async def client_stream(requests: AsyncIterator[Any], context: Context) -> Any:
    """Answer as the first request says, when all are here."""
    received = [request async for request in requests]
    first = received[0] if received else context.new(f"{PACKAGE}.ClientStreamRequest")
    return await _one(received, first.response_definition, context)


@_method("ServerStream")
async def server_stream(request: Any, context: Context) -> AsyncIterator[Any]:
    """Send the replies that the request asks for."""
    async for reply in _rest([request], request.response_definition, context, sent=0):
        yield reply


@_method("BidiStream")
async def bidi_stream(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    """Send the replies that the first request asks for: each after a request, or all after the last."""
    first, received, sent = None, list[Any](), 0
    async for request in requests:
        first = first or request
        received.append(request)
        definition = first.response_definition
        if not first.full_duplex:
            continue
        if sent == len(definition.response_data):
            break
        async for reply in _replies(received, definition, context, sent, sent + 1):
            yield reply
        received, sent = [], sent + 1
    first = first or context.new(f"{PACKAGE}.BidiStreamRequest")
    async for reply in _rest(received, first.response_definition, context, sent=sent):
        yield reply


async def _one(requests: Sequence[Any], definition: Any, context: Context) -> Any:
    _set_metadata(definition, context)
    info = _info(requests, context)
    await asyncio.sleep(definition.response_delay_ms / 1000)
    if definition.HasField("error"):
        raise _failed(definition.error, info)
    return _reply(context, definition.response_data, info)


async def _rest(
    requests: Sequence[Any], definition: Any, context: Context, *, sent: int
) -> AsyncIterator[Any]:
    """Yield the replies from the one with number `sent`, then fail if that is asked for."""
    count = len(definition.response_data)
    async for reply in _replies(requests, definition, context, sent, count):
        yield reply
    if definition.HasField("error"):
        raise _failed(definition.error, None if count else _info(requests, context))


async def _replies(
    requests: Sequence[Any], definition: Any, context: Context, begin: int, end: int
) -> AsyncIterator[Any]:
    """Yield the replies from `begin` to `end`; the first tells of the requests, the very first of the call too."""
    if begin == 0:
        _set_metadata(definition, context)
    info = _info(requests, context, of_call=begin == 0)
    for data in definition.response_data[begin:end]:
        await asyncio.sleep(definition.response_delay_ms / 1000)
        yield _reply(context, data, info)
        info = None


def _set_metadata(definition: Any, context: Context) -> None:
    for header in definition.response_headers:
        context.call.leading[header.name.lower()] = ",".join(header.value)
    for header in definition.response_trailers:
        context.call.trailing[header.name.lower()] = ",".join(header.value)


def _info(requests: Sequence[Any], context: Context, *, of_call: bool = True) -> Any:
    info = context.new(f"{PACKAGE}.ConformancePayload.RequestInfo")
    for request in requests:
        info.requests.add().Pack(request)
    if of_call:
        for name, value in context.call.metadata.items():
            info.request_headers.add(name=name, value=[value])
        if context.call.timeout_s is not None:
            info.timeout_ms = round(context.call.timeout_s * 1000)
    return info


def _reply(context: Context, data: bytes, info: Any) -> Any:
    payload = context.new(f"{PACKAGE}.ConformancePayload", data=data, request_info=info)
    return context.call.method.output_class(payload=payload)


def _failed(error: Any, info: Any) -> CallFailedError:
    """Return the error that was asked for; `info` goes with it where no reply told of the requests."""
    told = status_pb2.Status(code=error.code, message=error.message)
    for detail in error.details:
        told.details.add(type_url=detail.type_url, value=detail.value)
    if info is not None:
        told.details.add().Pack(info)
    return CallFailedError(told)


def _drop_details() -> None:
    """Let the platform's own errors have no details: the runner takes none but those that it asked for."""
    pack = status._pack
    status._pack = lambda code, message, _details: pack(code, message, [])


def _settings(wish: Any, protos: str, database: str, folder: Path) -> Settings:
    pem = {
        "tls_certificate": wish.server_creds.cert,
        "tls_key": wish.server_creds.key,
        "tls_client_ca": wish.client_tls_cert,
    }
    files = {name: folder / name for name, text in pem.items() if text}
    for name, path in files.items():
        path.write_bytes(pem[name])
    return Settings.load(
        {},
        protos=protos,
        database_write=database,
        transport="http2",
        listen="127.0.0.1:0",
        web_listen="127.0.0.1:0",
        message_size_bytes_max=wish.message_receive_limit or None,
        **{name: str(path) for name, path in files.items()},
    )


def serve(protos: str, database: str) -> None:
    """Serve as standard input says, until the process is told to end."""
    _drop_details()
    pool = load(Path(protos).read_bytes()).pool
    wishes, answers = (
        GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.ServerCompat{name}"))
        for name in ("Request", "Response")
    )
    size = int.from_bytes(sys.stdin.buffer.read(4))
    wish = wishes.FromString(sys.stdin.buffer.read(size))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings(wish, protos, database, Path(folder))
        with RunningPlatform(settings, functions=functions) as running:
            grpc = pool.FindEnumTypeByName(f"{PACKAGE}.Protocol").values_by_name["PROTOCOL_GRPC"].number
            address = running.address if wish.protocol == grpc else running.web_address
            host, _, port = address.rpartition(":")
            answer = answers(host=host, port=int(port), pem_cert=wish.server_creds.cert).SerializeToString()
            sys.stdout.buffer.write(len(answer).to_bytes(4) + answer)
            sys.stdout.buffer.flush()
            signal.pause()


if __name__ == "__main__":
    with any_protos():
        serve(*sys.argv[1:])
