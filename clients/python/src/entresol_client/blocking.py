"""Connection, client and pager that block the thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Generic, Self, cast

import grpc

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
from entresol_client.operations import Operation
from entresol_client.options import Metadata
from entresol_client.wire import Wire


class Connection(Wire):
    """A connection whose calls block, for any number of threads; `Wire` says what it takes."""

    _grpc = grpc

    def unary(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> ReplyT:
        """Return the reply to one request; EntresolError when the last attempt failed."""
        exchange = self._exchange(method, request, options)
        while True:
            timeout, metadata = exchange.attempt()
            try:
                if method.read and self._hedging is not None:
                    reply, call = self._hedged(self._hedging, method, request, exchange, timeout, metadata)
                else:
                    reply, call = self._stub(method).with_call(request, timeout=timeout, metadata=metadata)
            except grpc.RpcError as error:
                delay_s = exchange.failed(error)
            else:
                exchange.succeeded(call.initial_metadata(), call.trailing_metadata())
                return cast(ReplyT, reply)
            time.sleep(delay_s)

    def _hedged(
        self,
        hedging: Hedging,
        method: Method[RequestT, ReplyT],
        request: RequestT,
        exchange: Exchange[RequestT, ReplyT],
        timeout: float | None,
        metadata: Metadata,
    ) -> tuple[Any, Any]:
        """Return reply and call of the attempt that answers first; a `grpc.RpcError` when none does."""
        first, second = hedging.begin()
        ended: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        calls: list[Any] = []

        def send(server: int, timeout: float | None, metadata: Metadata) -> None:
            call = self._stub(method, server).future(request, timeout=timeout, metadata=metadata)
            calls.append(call)
            call.add_done_callback(lambda call: ended.put((server, call)))

        try:
            send(first, timeout, metadata)
            waiting_s: float | None = hedging.after_s
            heard = 0
            while True:
                try:
                    server, call = ended.get(timeout=waiting_s)
                except Empty:
                    if hedging.late(first, second):
                        send(second, *exchange.hedge())
                        waiting_s = None
                else:
                    heard += 1
                    code = call.code()
                    if hedging.ended(server, code):
                        break
                    if len(calls) == 1 and hedging.goes_on(first, second, code):
                        send(second, *exchange.hedge())
                        waiting_s = None
                    elif heard == len(calls):
                        break
        finally:
            for each in calls:
                each.cancel()
        if call.code() is not grpc.StatusCode.OK:
            raise call
        return call.result(), call

    def stream(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> Iterator[ReplyT]:
        """Yield the replies to one request; the call ends when the iterator is closed."""
        exchange = self._exchange(method, request, options)
        timeout, metadata = exchange.attempt()
        call = self._stub(method)(request, timeout=timeout, metadata=metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            exchange.failed(error)
        else:
            exchange.succeeded(call.initial_metadata(), call.trailing_metadata())
        finally:
            call.cancel()

    def close(self) -> None:
        """Close the channel, if this connection opened it; calls in flight end with CallCancelledError."""
        if self._owned:
            for channel in (self._channel, *self._servers):
                channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Pager(Generic[ReplyT, ItemT]):
    """The items of a list over all its pages, each asked for when needed; iterating again begins anew."""

    def __init__(
        self,
        method: PagedMethod[RequestT, ReplyT, ItemT],
        request: RequestT,
        fetch: Callable[[RequestT], ReplyT],
    ) -> None:
        self._method: PagedMethod[Any, ReplyT, ItemT] = method
        self._request: Any = request
        self._fetch: Callable[[Any], ReplyT] = fetch

    def __iter__(self) -> Iterator[ItemT]:
        for page in self.pages():
            yield from self._method.items(page)

    def pages(self) -> Iterator[ReplyT]:
        """Yield whole pages, with every field they have beside the items."""
        request: Any = self._request
        while request is not None:
            page = self._fetch(request)
            yield page
            request = self._method.following(request, page)

    def page(self) -> ReplyT:
        """Return only the first page; its `next_page_token` is for a later call."""
        return self._fetch(self._request)


class ServiceClient:
    """A client of one service. Given an address, it opens a connection of its own, and closes it."""

    def __init__(self, connection: Connection | str) -> None:
        self._owned = isinstance(connection, str)
        self.connection = Connection(connection) if isinstance(connection, str) else connection

    def close(self) -> None:
        """Close the connection, if this client opened it."""
        if self._owned:
            self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _unary(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> ReplyT:
        return self.connection.unary(method, request, options)

    def _stream(
        self, method: Method[RequestT, ReplyT], request: RequestT, options: Mapping[str, Any]
    ) -> Iterator[ReplyT]:
        return self.connection.stream(method, request, options)

    def _operation(
        self,
        method: LongMethod[RequestT, ResultT, MetadataT],
        request: RequestT,
        options: Mapping[str, Any],
    ) -> Operation[ResultT, MetadataT]:
        return Operation(self.connection, method, self.connection.unary(method, request, options), options)

    def _pages(
        self, method: PagedMethod[RequestT, ReplyT, ItemT], request: RequestT, options: Mapping[str, Any]
    ) -> Pager[ReplyT, ItemT]:
        return Pager(method, request, lambda page: self.connection.unary(method, page, options))
