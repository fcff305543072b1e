"""The handwritten peer of the graph: grpc.aio, asyncpg and redis-py, cache-aside, as `grpc_aio.py` keeps stories."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from collections.abc import Sequence
from typing import Any

import asyncpg
import grpc
import uvloop
from tests.bench.peers.flags import Flags, parser
from tests.bench.peers.store import Cache, pool, redis_of

messages, services = grpc.protos_and_services("tests/bench/peers/tao.proto")


PAGE_SIZE = 10
FILTER = re.compile(r'source = "(objects/[a-z0-9]+)"')
LIST = "SELECT name, timestamp, value, source FROM edges WHERE source = $1 ORDER BY timestamp DESC LIMIT $2"
COUNT = "SELECT count(*) FROM edges WHERE source = $1"


class Nodes:
    """One of the two tables."""

    def __init__(self, table: str, kind: Any, write: asyncpg.Pool, read: asyncpg.Pool, cache: Cache) -> None:
        self._table = table
        self._kind = kind
        self._columns = [field.name for field in kind.DESCRIPTOR.fields]
        self._put = _put_statement(table, self._columns)
        self._write = write
        self._read = read
        self._cache = cache

    async def get(self, name: str, context: grpc.aio.ServicerContext) -> Any:
        (found,) = await self.get_all([name], context)
        return found

    async def get_all(self, names: Sequence[str], context: grpc.aio.ServicerContext) -> list[Any]:
        if not all(name.startswith(f"{self._table}/") for name in names):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"names: must begin with {self._table}/")
        cached = zip(names, await self._cache.get_all(names), strict=True)
        found = {name: self._kind.FromString(value) for name, value in cached if value is not None}
        missed = [name for name in dict.fromkeys(names) if name not in found]
        if missed:
            query = f"SELECT {', '.join(self._columns)} FROM {self._table} WHERE name = ANY($1)"
            loaded = {row["name"]: self._kind(**row) for row in await self._read.fetch(query, missed)}
            await self._cache.set_all({name: one.SerializeToString() for name, one in loaded.items()})
            found |= loaded
        for name in missed:
            if name not in found:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"{name} does not exist")
        return [found[name] for name in names]

    async def put(self, one: Any) -> Any:
        row = await self._write.fetchrow(self._put, *(getattr(one, column) for column in self._columns))
        await self._cache.delete(one.name, *self._lists_of(row))
        return self._kind(**row)

    def _lists_of(self, _row: asyncpg.Record) -> tuple[str, ...]:
        return ()


def _put_statement(table: str, columns: Sequence[str]) -> str:
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    values = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
    listed = ", ".join(columns)
    return (
        f"INSERT INTO {table} ({listed}) VALUES ({places}) ON CONFLICT (name) DO UPDATE SET {values}"
        f" RETURNING {listed}"
    )


class Edges(Nodes):
    """The edges, and what is cached of those that begin at an object: their newest ones, and how many there are."""

    def _lists_of(self, row: asyncpg.Record) -> tuple[str, ...]:
        return _newest(row["source"]), _count(row["source"])

    async def list(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        wanted = FILTER.fullmatch(request.filter)
        if wanted is None or request.order_by != "source, timestamp desc" or request.page_size != PAGE_SIZE:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "only the newest ten of an object")
        source = wanted[1]
        cached = await self._cache.get(_newest(source))
        if cached is not None:
            return messages.ListEdgesResponse.FromString(cached)
        rows = await self._read.fetch(LIST, source, PAGE_SIZE)
        response = messages.ListEdgesResponse(edges=[self._kind(**row) for row in rows])
        await self._cache.set(_newest(source), response.SerializeToString())
        return response

    async def count(self, source: str) -> Any:
        cached = await self._cache.get(_count(source))
        if cached is not None:
            return messages.CountEdgesResponse.FromString(cached)
        response = messages.CountEdgesResponse(count=await self._read.fetchval(COUNT, source))
        await self._cache.set(_count(source), response.SerializeToString())
        return response


def _newest(source: str) -> str:
    return f"{source}/edges"


def _count(source: str) -> str:
    return f"{source}/count"


class TaoService(services.TaoServiceServicer):
    """The methods that the benchmark calls."""

    def __init__(self, objects: Nodes, edges: Edges) -> None:
        self._objects = objects
        self._edges = edges

    async def GetObject(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the rpc's name
        return await self._objects.get(request.name, context)

    async def BatchGetObjects(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        found = await self._objects.get_all(request.names, context)
        return messages.BatchGetObjectsResponse(objects=found)

    async def UpdateObject(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        return await self._objects.put(request.object)

    async def GetEdge(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        return await self._edges.get(request.name, context)

    async def BatchGetEdges(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        return messages.BatchGetEdgesResponse(edges=await self._edges.get_all(request.names, context))

    async def UpdateEdge(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        return await self._edges.put(request.edge)

    async def ListEdges(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        return await self._edges.list(request, context)

    async def CountEdges(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        return await self._edges.count(request.source)


async def serve(flags: Flags) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        pool(flags.database_write) as write,
        pool(flags.database_read) as read,
        redis_of(flags.cache) as redis,
    ):
        cache = Cache(redis, flags.cache_prefix)
        objects = Nodes("objects", messages.Object, write, read, cache)
        edges = Edges("edges", messages.Edge, write, read, cache)
        server = grpc.aio.server()
        services.add_TaoServiceServicer_to_server(TaoService(objects, edges), server)
        server.add_insecure_port(flags.listen)
        await server.start()
        await stop.wait()
        await server.stop(grace=5)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(serve(Flags.of(parser(__doc__).parse_args())))
