"""The service that gRPC's interoperability tests call, on Entresol's wires.

What it must do is told in https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import status_pb2

from entresol.codegen.protos import compile_protos
from entresol.service.registry import Context, Registry
from entresol.service.status import CallFailedError

SERVICE = "TestService"
functions = Registry()


def descriptors(folder: Path) -> bytes:
    """Return the protos of a folder without the services that must not be there, such as the unimplemented one."""
    found = FileDescriptorSet.FromString(compile_protos(folder))
    for file in found.file:
        kept = [service for service in file.service if service.name == SERVICE]
        del file.service[:]
        file.service.extend(kept)
    return found.SerializeToString()


def _method(name: str) -> Any:
    return functions.method(f"grpc.testing.{SERVICE}.{name}")


@_method("EmptyCall")
async def empty_call(request: Any, _context: Context) -> Any:
    """Return the empty message that came."""
    return request


@_method("UnaryCall")
async def unary_call(request: Any, context: Context) -> Any:
    """Return so many bytes, or the status that is asked for."""
    _echo(context)
    _check(request)
    reply = context.call.method.output_class(server_id="entresol" if request.fill_server_id else "")
    reply.payload.body = bytes(request.response_size)
    return reply


@_method("StreamingInputCall")
async def streaming_input_call(requests: AsyncIterator[Any], context: Context) -> Any:
    """Return how many bytes came in all."""
    sizes = [len(request.payload.body) async for request in requests]
    return context.call.method.output_class(aggregated_payload_size=sum(sizes))


@_method("StreamingOutputCall")
async def streaming_output_call(request: Any, context: Context) -> AsyncIterator[Any]:
    """Send replies of these sizes, after these pauses."""
    _echo(context)
    _check(request)
    for wish in request.response_parameters:
        await asyncio.sleep(wish.interval_us / 1e6)
        reply = context.call.method.output_class()
        reply.payload.body = bytes(wish.size)
        yield reply


@_method("FullDuplexCall")
async def full_duplex_call(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    """Answer each request as it comes."""
    async for request in requests:
        async for reply in streaming_output_call(request, context):
            yield reply


@_method("HalfDuplexCall")
async def half_duplex_call(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
    """Answer all requests when they are here."""
    for request in [request async for request in requests]:
        async for reply in streaming_output_call(request, context):
            yield reply


def _check(request: Any) -> None:
    if request.response_status.code:
        wish = request.response_status
        raise CallFailedError(status_pb2.Status(code=wish.code, message=wish.message))


def _echo(context: Context) -> None:
    call = context.call
    if first := call.metadata.get("x-grpc-test-echo-initial"):
        call.leading["x-grpc-test-echo-initial"] = first
    if last := call.binary.get("x-grpc-test-echo-trailing-bin"):
        call.trailing["x-grpc-test-echo-trailing-bin"] = last
