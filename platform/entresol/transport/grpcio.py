"""gRPC by grpcio: the method table, health, reflection and channelz on one port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import grpc
import grpc.aio
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from entresol.background import kept_running
from entresol.clock import Clock
from entresol.config import Settings
from entresol.life import Facts, Life
from entresol.records import CACHE, NEAR
from entresol.schema.model import Model
from entresol.service.call import ANSWERED_BY_KEY, Call, finished
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport import tls
from entresol.transport.calls import (
    DETAILS_KEY,
    HARD_SIZE_FACTOR,
    closing,
    failed,
    failure,
    pushback,
    serialized,
    trailing,
    unknown,
)
from entresol.transport.listener import cannot_listen
from entresol.transport.standard import Standard

_NEAR, _CACHE = (((ANSWERED_BY_KEY, source),) for source in (NEAR, CACHE))
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def _times(settings: Settings) -> list[tuple[str, int]]:
    """Return how long connections live, and when a silent client is asked whether it is there; 0: never."""
    times_s = {
        "grpc.max_connection_age_ms": settings.connection_age_max_s,
        "grpc.max_connection_age_grace_ms": settings.deadline_max_s,
        "grpc.keepalive_time_ms": settings.keepalive_s,
        "grpc.keepalive_timeout_ms": settings.keepalive_timeout_s,
    }
    return [(name, int(seconds * 1000)) for name, seconds in times_s.items() if seconds]


class GrpcServer:
    """A gRPC server over one method table. `start` listens; `stop` drains."""

    def __init__(
        self,
        table: Mapping[str, Route],
        model: Model,
        settings: Settings,
        clock: Clock,
        life: Life | None = None,
    ) -> None:
        """Serve the table; what is told of health is the readiness of `life`, if there is one."""
        self._life = life
        self._following = AsyncExitStack()
        self._settings = settings
        self._standard = Standard(model)
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.message_size_bytes_max * HARD_SIZE_FACTOR),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", int(settings.reuse_port)),
                *_times(settings),
                ("grpc.enable_channelz", 1),
            ]
        )
        self._server.add_generic_rpc_handlers([_Table(table, clock)])
        health_pb2_grpc.add_HealthServicer_to_server(self._standard.health, self._server)
        channelz.add_channelz_servicer(self._server)
        reflection.enable_server_reflection(self._standard.reflected, self._server, pool=self._standard.pool)
        self._server.add_generic_rpc_handlers([_Unknown()])
        self.port = 0

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        try:
            self.port = self._add_port(self._settings.listen)
        except RuntimeError as error:
            raise cannot_listen(self._settings.listen, "listen") from error
        await self._server.start()
        await self._standard.serving()
        if self._life is not None:
            following = kept_running(self._standard.follow(self._life), "entresol health")
            await self._following.enter_async_context(following)

    def _add_port(self, address: str) -> int:
        if not tls.is_wanted(self._settings):
            return int(self._server.add_insecure_port(address))
        key, certificate, authority = tls.pem(self._settings)
        credentials = grpc.ssl_server_credentials(
            [(key, certificate)], root_certificates=authority, require_client_auth=authority is not None
        )
        return int(self._server.add_secure_port(address, credentials))

    def facts(self) -> Facts:
        """Return what this server is."""
        return {"protocol": "grpc", "transport": "grpcio", "port": self.port}

    async def stop(self) -> None:
        """Report NOT_SERVING, refuse new calls, and end when the running ones have, or after `drain_s`."""
        await self._following.aclose()
        await self._standard.draining()
        await self._server.stop(self._settings.drain_s)


class _Table(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """The method table, as grpcio asks for it: bytes in, bytes out."""

    def __init__(self, table: Mapping[str, Route], clock: Clock) -> None:
        self._handlers = {path: _rpc_handler(route, clock) for path, route in table.items()}

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)


class _Unknown(grpc.GenericRpcHandler):  # type: ignore[misc]  # as above
    """What answers when nothing else does."""

    def service(self, handler_call_details: Any) -> Any:
        path: str = handler_call_details.method
        error = failed(unknown(path), path)

        async def refuse(_request: bytes, context: Any) -> bytes:
            await _abort(context, error, ())
            raise error

        return grpc.unary_unary_rpc_method_handler(refuse)


def _rpc_handler(route: Route, clock: Clock) -> Any:
    method = route.method

    async def unary(request: Any, context: Any) -> bytes:
        metadata, binary = _metadata(context)

        def begin() -> Call:
            return Call(method, metadata, clock, context.time_remaining(), binary=binary)

        look = route.look(request, metadata, begin)
        if look is not None:
            found, source = (look, _NEAR) if isinstance(look, bytes) else (await look.found(), _CACHE)
            if found is not None:
                context.set_trailing_metadata(source)
                return found
        call = begin()
        try:
            reply = serialized(await finished(route.handler(request, call)))
        except Exception as error:
            failure_ = failure(error, call)
            await _lead(context, call)
            await _abort(context, failure_, trailing(call))
            raise failure_ from error
        if call.leading:
            await _lead(context, call)
        context.set_trailing_metadata(tuple(trailing(call)))
        return reply

    async def stream(request: Any, context: Any) -> AsyncIterator[bytes]:
        metadata, binary = _metadata(context)
        call = Call(method, metadata, clock, context.time_remaining(), binary=binary)
        head_sent = False
        try:
            replies: Any = await finished(route.handler(request, call))
            async with closing(replies):
                async for reply in replies:
                    if not head_sent:
                        head_sent = True
                        await _lead(context, call)
                    yield serialized(reply)
            if not head_sent:
                await _lead(context, call)
            context.set_trailing_metadata(tuple(trailing(call)))
        except Exception as error:
            if not head_sent:
                await _lead(context, call)
            await _abort(context, failure(error, call), trailing(call))

    match method.client_streaming, method.server_streaming:
        case True, True:
            return grpc.stream_stream_rpc_method_handler(stream)
        case True, False:
            return grpc.stream_unary_rpc_method_handler(unary)
        case False, True:
            return grpc.unary_stream_rpc_method_handler(stream)
        case _:
            return grpc.unary_unary_rpc_method_handler(unary)


def _metadata(context: Any) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the metadata, and apart from it what is binary; of a name that comes several times, all with commas."""
    metadata: dict[str, str] = {}
    binary: dict[str, bytes] = {}
    for key, value in context.invocation_metadata():
        if isinstance(value, bytes):
            binary[key] = value
        else:
            metadata[key] = f"{metadata[key]},{value}" if key in metadata else value
    return metadata, binary


async def _lead(context: Any, call: Call) -> None:
    if call.leading:
        await context.send_initial_metadata(tuple(call.leading.items()))


async def _abort(context: Any, error: CallFailedError, metadata: Iterable[tuple[str, str | bytes]]) -> None:
    status = error.status
    with_details = (*metadata, (DETAILS_KEY, status.SerializeToString()), *pushback(status))
    await context.abort(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, with_details)
