"""Connection, client and pager for asyncio. They belong to the event loop they are made in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Generic, Self, cast

import grpc
import grpc.aio

from entresol_client.errors import CallCancelledError
from entresol_client.exchange import Exchange
from entresol_client.hedging import Hedging
from entresol_client.method import (
    ItemT,
    LongMethod,
    MetadataT,
    Method,
    PagedMethod,
    ReplyT,
    RequestT,
    ResultT,
)
from entresol_client.operations import AsyncOperation
from entresol_client.options import Metadata
from entresol_client.wire import Wire


class AsyncConnection(Wire):
    """A connection whose calls are awaited; `Wire` says what it takes."""

    _grpc = grpc.aio

    async def unary(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> ReplyT:
        """Return the reply to one request; EntresolError when the last attempt failed."""
        exchange = self._exchange(method, request, options)
        while True:
            timeout, metadata = exchange.attempt()
            try:
                if method.read and self._hedging is not None:
                    call = await self._hedged(self._hedging, method, request, exchange, timeout, metadata)
                else:
                    call = self._stub(method)(request, timeout=timeout, metadata=metadata)
                reply = await call
            except grpc.RpcError as error:
                delay_s = exchange.failed(error)
            except asyncio.CancelledError as error:
                raise _cancelled(error) from None
            else:
                exchange.succeeded(await call.initial_metadata(), await call.trailing_metadata())
                return cast(ReplyT, reply)
            await asyncio.sleep(delay_s)

    async def _hedged(
        self,
        hedging: Hedging,
        method: Method[RequestT, ReplyT],
        request: RequestT,
        exchange: Exchange[RequestT, ReplyT],
        timeout: float | None,  # noqa: ASYNC109 - gRPC ends the call
        metadata: Metadata,
    ) -> Any:
        """Return the call of the attempt that answers first, else of the last one; it has ended."""
        first, second = hedging.begin()
        ended: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        calls: list[Any] = []

        def send(server: int, timeout: float | None, metadata: Metadata) -> None:
            call = self._stub(method, server)(request, timeout=timeout, metadata=metadata)
            calls.append(call)
            call.add_done_callback(lambda call: ended.put_nowait((server, call)))

        try:
            send(first, timeout, metadata)
            waiting_s: float | None = hedging.after_s
            heard = 0
            while True:
                try:
                    server, call = await asyncio.wait_for(ended.get(), waiting_s)
                except TimeoutError:
                    if hedging.late(first, second):
                        send(second, *exchange.hedge())
                        waiting_s = None
                else:
                    heard += 1
                    code = await call.code()
                    if hedging.ended(server, code):
                        return call
                    if len(calls) == 1 and hedging.goes_on(first, second, code):
                        send(second, *exchange.hedge())
                        waiting_s = None
                    elif heard == len(calls):
                        return call
        finally:
            for each in calls:
                each.cancel()

    async def stream(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> AsyncIterator[ReplyT]:
        """Yield the replies to one request; the call ends when the iterator is closed."""
        exchange = self._exchange(method, request, options)
        timeout, metadata = exchange.attempt()
        call = self._stub(method)(request, timeout=timeout, metadata=metadata)
        try:
            async for reply in call:
                yield reply
        except grpc.RpcError as error:
            exchange.failed(error)
        except asyncio.CancelledError as error:
            raise _cancelled(error) from None
        else:
            exchange.succeeded(await call.initial_metadata(), await call.trailing_metadata())
        finally:
            call.cancel()

    async def close(self) -> None:
        """Close the channel, if this connection opened it; calls in flight end with CallCancelledError."""
        if self._owned:
            for channel in (self._channel, *self._servers):
                await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def _cancelled(error: asyncio.CancelledError) -> BaseException:
    """Return what to raise: grpc ends calls of a closed channel as if their tasks had been cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return error
    return CallCancelledError("the connection was closed")


class AsyncPager(Generic[ReplyT, ItemT]):
    """The items of a list over all its pages, each asked for when needed; iterating again begins anew."""

    def __init__(
        self,
        method: PagedMethod[RequestT, ReplyT, ItemT],
        request: RequestT,
        fetch: Callable[[RequestT], Awaitable[ReplyT]],
    ) -> None:
        self._method: PagedMethod[Any, ReplyT, ItemT] = method
        self._request: Any = request
        self._fetch: Callable[[Any], Awaitable[ReplyT]] = fetch

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        async for page in self.pages():
            for item in self._method.items(page):
                yield item

    async def pages(self) -> AsyncIterator[ReplyT]:
        """Yield whole pages, with every field they have beside the items."""
        request: Any = self._request
        while request is not None:
            page = await self._fetch(request)
            yield page
            request = self._method.following(request, page)

    async def page(self) -> ReplyT:
        """Return only the first page; its `next_page_token` is for a later call."""
        return await self._fetch(self._request)


class AsyncServiceClient:
    """A client of one service. Given an address, it opens a connection of its own, and closes it."""

    def __init__(self, connection: AsyncConnection | str) -> None:
        self._owned = isinstance(connection, str)
        self.connection = AsyncConnection(connection) if isinstance(connection, str) else connection

    async def close(self) -> None:
        """Close the connection, if this client opened it."""
        if self._owned:
            await self.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _unary(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> ReplyT:
        return await self.connection.unary(method, request, options)

    def _stream(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> AsyncIterator[ReplyT]:
        return self.connection.stream(method, request, options)

    async def _operation(
        self,
        method: LongMethod[RequestT, ResultT, MetadataT],
        request: RequestT,
        options: Mapping[str, Any],
    ) -> AsyncOperation[ResultT, MetadataT]:
        message = await self.connection.unary(method, request, options)
        return AsyncOperation(self.connection, method, message, options)

    def _pages(
        self, method: PagedMethod[RequestT, ReplyT, ItemT], request: RequestT, options: Mapping[str, Any]
    ) -> AsyncPager[ReplyT, ItemT]:
        return AsyncPager(method, request, lambda page: self.connection.unary(method, page, options))
