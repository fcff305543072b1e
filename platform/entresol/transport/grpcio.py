"""gRPC by grpcio: the method table, health, reflection and channelz on one port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_channelz.v1 import channelz, channelz_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import ConfigurationError, UnimplementedError
from entresol.schema.model import Model
from entresol.service.call import TRACE_KEY, Call
from entresol.service.status import CallFailedError, status_of
from entresol.service.table import Route

_DETAILS_KEY = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
# What grpcio itself still accepts, so that the decode link can say by how much a message is too large.
_HARD_SIZE_FACTOR = 4
LIVENESS = "liveness"


class GrpcServer:
    """A gRPC server over one method table. `start` listens; `stop` drains."""

    def __init__(self, table: Mapping[str, Route], model: Model, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._health = health.aio.HealthServicer()
        self._services = [*model.services, "grpc.health.v1.Health"]
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.message_size_bytes_max * _HARD_SIZE_FACTOR),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                ("grpc.enable_channelz", 1),
            ]
        )
        self._server.add_generic_rpc_handlers([_Table(table, clock)])
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        channelz.add_channelz_servicer(self._server)
        names = [*self._services, "grpc.channelz.v1.Channelz", reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server, pool=_reflection_pool(model))
        self._server.add_generic_rpc_handlers([_Unknown()])
        self.port = 0

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        try:
            self.port = self._server.add_insecure_port(self._settings.listen)
        except RuntimeError as error:
            raise ConfigurationError(
                f"cannot listen on {self._settings.listen}: another process may hold it; set ENTRESOL_LISTEN"
            ) from error
        await self._server.start()
        for service in ("", LIVENESS, *self._services):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Report NOT_SERVING, refuse new calls, and end when the running ones have, or after `drain_s`."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._settings.drain_s)


class _Table(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """The method table, as grpcio asks for it: bytes in, bytes out."""

    def __init__(self, table: Mapping[str, Route], clock: Clock) -> None:
        self._handlers = {path: _rpc_handler(entry, clock) for path, entry in table.items()}

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)


class _Unknown(grpc.GenericRpcHandler):  # type: ignore[misc]  # as above
    """What answers when nothing else does, because every error has an ErrorInfo (AIP-193)."""

    def service(self, handler_call_details: Any) -> Any:
        path: str = handler_call_details.method
        service, _, name = path.strip("/").rpartition("/")
        text = f"{service} has no method {name}, or this server does not serve it"
        error = UnimplementedError(text, metadata={"method": path})

        async def refuse(_request: bytes, context: Any) -> bytes:
            status = status_of(error, service, "")
            await context.abort(
                grpc.StatusCode.UNIMPLEMENTED, status.message, ((_DETAILS_KEY, status.SerializeToString()),)
            )
            raise error

        return grpc.unary_unary_rpc_method_handler(refuse)


def _rpc_handler(entry: Route, clock: Clock) -> Any:
    method = entry.method
    if method.client_streaming:
        raise ConfigurationError(f"{method.full_name}: this transport does not take a stream of requests")

    async def unary(request: bytes, context: Any) -> bytes:
        call = _call(entry, context, clock)
        try:
            reply = await entry.handler(request, call)
        except CallFailedError as error:
            await _abort(context, error, call)
            raise
        context.set_trailing_metadata(_trailing(call))
        return _serialized(reply)

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        call = _call(entry, context, clock)
        try:
            replies: Any = await entry.handler(request, call)
            async for reply in replies:
                yield _serialized(reply)
            context.set_trailing_metadata(_trailing(call))
        except CallFailedError as error:
            await _abort(context, error, call)
        except Exception as error:
            domain = method.full_name.rpartition(".")[0]
            await _abort(context, CallFailedError(status_of(error, domain, call.trace_id)), call)

    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(stream)
    return grpc.unary_unary_rpc_method_handler(unary)


def _call(entry: Route, context: Any, clock: Clock) -> Call:
    metadata: dict[str, str] = {}
    for key, value in context.invocation_metadata():
        if isinstance(value, str):
            metadata[key] = f"{metadata[key]},{value}" if key in metadata else value
    return Call(entry.method, metadata, clock, context.time_remaining())


def _serialized(reply: Any) -> bytes:
    if isinstance(reply, Message):
        return reply.SerializeToString()
    return bytes(reply)


def _trailing(call: Call) -> tuple[tuple[str, str | bytes], ...]:
    trace = ((TRACE_KEY, call.trace_id),) if call.trace_id else ()
    return (*call.trailing.items(), *trace)


async def _abort(context: Any, error: CallFailedError, call: Call) -> None:
    status = error.status
    trailing = (*_trailing(call), (_DETAILS_KEY, status.SerializeToString()))
    await context.abort(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, trailing)


def _reflection_pool(model: Model) -> DescriptorPool:
    """Return the model's files and those of the services that grpcio brings, in one pool."""
    pool = DescriptorPool()
    files = {file.name: file for file in FileDescriptorSet.FromString(model.descriptor_set).file}
    for module in (health_pb2, reflection_pb2, channelz_pb2):
        _add_with_imports(module.DESCRIPTOR, files)
    for file in files.values():
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_with_imports(descriptor: Any, files: dict[str, Any]) -> None:
    for dependency in descriptor.dependencies:
        _add_with_imports(dependency, files)
    if descriptor.name not in files:
        copy = FileDescriptorSet().file.add()
        descriptor.CopyToProto(copy)
        files[descriptor.name] = copy
