"""grpcio's own services (health, reflection) as routes, so that the other transport serves the very same ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, NoReturn

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from entresol.errors import UnavailableError
from entresol.schema.model import Method, MethodKind
from entresol.service.call import Call, Reply
from entresol.service.status import CallFailedError
from entresol.service.table import Route

_WRITTEN_MAX = 8  # replies that wait for the peer; the servicer's `write` waits beyond


def routes(descriptor: ServiceDescriptor, servicer: Any, leaving: asyncio.Event) -> Iterator[Route]:
    """Yield a route for each method of a service whose servicer is written for `grpc.aio`.

    Streams that would never end, as who watches health has one, end when the server is `leaving`: to wait for them is
    to wait in vain.
    """
    for item in descriptor.methods:
        method = Method(
            full_name=item.full_name,
            path=f"/{descriptor.full_name}/{item.name}",
            kind=MethodKind.CUSTOM,
            input=item.input_type,
            output=item.output_type,
            input_class=GetMessageClass(item.input_type),
            output_class=GetMessageClass(item.output_type),
            client_streaming=item.client_streaming,
            server_streaming=item.server_streaming,
        )
        yield Route(method, _handler(method, getattr(servicer, item.name), leaving))


def _handler(
    method: Method, function: Callable[[Any, Any], Any], leaving: asyncio.Event
) -> Callable[[Any, Call], Awaitable[Reply]]:
    parse = method.input_class.FromString

    async def unary(request: bytes, _call: Call) -> Reply:
        reply: Reply = await function(parse(request), _Context())
        return reply

    async def streaming(request: Any, _call: Call) -> Reply:
        requests = _parsed(request, parse) if method.client_streaming else parse(request)
        context = _Context()
        replies = function(requests, context)
        return replies if isinstance(replies, AsyncIterator) else context.written(replies, leaving)

    return streaming if method.server_streaming else unary


async def _parsed(requests: AsyncIterator[bytes], parse: Callable[[bytes], Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield parse(request)


class _Context:
    """As much of grpcio's context as these servicers use."""

    def __init__(self) -> None:
        self._written: asyncio.Queue[Any] = asyncio.Queue(_WRITTEN_MAX)

    async def abort(self, code: Any, details: str = "") -> NoReturn:
        """End the call with an error."""
        raise CallFailedError(status_pb2.Status(code=code.value[0], message=details))

    async def write(self, reply: Any) -> None:
        """Send one reply."""
        await self._written.put(reply)

    async def written(self, work: Awaitable[None], leaving: asyncio.Event) -> AsyncIterator[Any]:
        """Yield what `work` writes, until it ends.

        Raises:
            UnavailableError: the server left before.
        """
        running, left = asyncio.ensure_future(work), asyncio.ensure_future(leaving.wait())
        taking: asyncio.Future[Any] | None = None
        try:
            while not running.done() or not self._written.empty():
                taking = asyncio.ensure_future(self._written.get())
                await asyncio.wait((running, taking, left), return_when=asyncio.FIRST_COMPLETED)
                if taking.done():
                    yield taking.result()
                elif left.done():
                    raise UnavailableError("the server is going away: ask again, another one answers")
                else:
                    taking.cancel()
            await running
        finally:
            running.cancel()
            left.cancel()
            if taking is not None:
                taking.cancel()
