"""TAOBench's workloads: O, all that a product asks of its graph, the read transactions of O, and A, an application.

Cheng et al., "TAOBench: An End-to-End Benchmark for Social Network Workloads", PVLDB 15(9), 2022, and its published
`workload_o.json` and `workload_a.json`: the shares of operations, the sizes of transactions and the skew over 50 shards
are those. Nothing is published of keys within a shard, which are zipf with exponent 0.99 here, nor of how many edges a
range has: here ten begin at each object that has any, in its own shard, and are asked for together.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc
from tests.bench.keys import Keys
from tests.bench.operation import Operation
from tests.bench.wire import Request

messages = grpc.protos("tests/bench/peers/tao.proto")

SHARDS = (94036, 36224, 3600, *itertools.repeat(612, 47))  # how often each is asked
READ, WRITE, READ_TRANSACTION, WRITE_TRANSACTION = "graph_read", "graph_write", "graph_reads", "graph_writes"
RANGE, COUNT = "graph_range", "graph_count"  # reads, too: of the edges that begin at an object
OBJECT, EDGE = "object", "edge"
READS_OF_TRANSACTIONS = {OBJECT: 1, EDGE: 5}


@dataclass(frozen=True, slots=True)
class Mix:
    """How often what is asked; what is added and what is changed count together as written."""

    operations: Mapping[str, int]
    reads: Mapping[str, int]
    writes: Mapping[str, int]


OVERALL = Mix(
    {READ: 8387, WRITE: 19, READ_TRANSACTION: 242, WRITE_TRANSACTION: 1},
    {OBJECT: 479, EDGE: 475},
    {OBJECT: 219 + 75, EDGE: 1 + 321},
)
APPLICATION = Mix(
    {READ: 171, WRITE: 57, READ_TRANSACTION: 15, WRITE_TRANSACTION: 1},
    {OBJECT: 475, EDGE: 68, RANGE: 376, COUNT: 39},
    {OBJECT: 111 + 214, EDGE: 10 + 380},
)
# Sizes of read transactions at shares of them; between two, as evenly by logarithm.
SIZES = (
    *((0.0, 2), (0.25, 2), (0.4, 3), (0.5, 4), (0.6, 5), (0.7, 8), (0.75, 11), (0.8, 16), (0.85, 27)),
    *((0.9, 49), (0.95, 98), (0.97, 145), (0.99, 241), (0.995, 327), (0.999, 451), (1.0, 499)),
)
WRITES_OF_TRANSACTION = 5  # in the mean
VALUE_BYTES = 150
STATEMENT_TIMEOUT_S = 120.0
EDGES_OF_OBJECT = 10
NEWEST = "source, timestamp desc"
KINDS_OF_O = frozenset(OVERALL.operations)
KINDS = KINDS_OF_O | {RANGE, COUNT}

FILL = """
INSERT INTO {table} (name, timestamp, value{source})
SELECT '{table}/{letter}' || lpad(number::text, 8, '0'), number,
       decode(substr(repeat(md5(concat_ws(':', $2::text, number)), 10), 1, 2 * $3::integer), 'hex'){source_of}
FROM generate_series(0, $1::integer - 1) number
"""
# The object of an edge, as `source_of` has it.
SOURCE_OF = f""",
       'objects/o' || lpad((number / {EDGES_OF_OBJECT * len(SHARDS)} * {len(SHARDS)}
                            + number % {len(SHARDS)})::text, 8, '0')"""


async def fill(connection: asyncpg.Connection, rows: int, seed: int, *, uid_type: str) -> None:
    """Write as many objects, and as many edges; `uid_type` is of no matter here."""
    for table, source, source_of in (("objects", "", ""), ("edges", ", source", SOURCE_OF)):
        text = FILL.format(table=table, letter=table[0], source=source, source_of=source_of)
        await connection.execute(text, rows, str(seed), VALUE_BYTES, timeout=STATEMENT_TIMEOUT_S)
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=STATEMENT_TIMEOUT_S)


class Graph:
    """Which objects and edges are asked for. An edge's number is below zero: -1 is that of the first."""

    def __init__(self, rows: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self._rows = rows
        self._ranks = max(1, rows // len(SHARDS))
        self._keys = Keys(self._ranks, seed)
        self._sources = Keys(max(1, self._ranks // EDGES_OF_OBJECT), seed + 1)

    def operation(self, mix: Mix = OVERALL) -> Operation:
        """Return the next of a workload."""
        match self._one(mix.operations):
            case "graph_read":
                return self._read(mix)
            case "graph_reads":
                return self.read_transaction()
            case kind:
                return Operation(kind, self._some(1 if kind == WRITE else WRITES_OF_TRANSACTION, mix.writes))

    def _read(self, mix: Mix) -> Operation:
        kind = self._one(mix.reads)
        if kind in (OBJECT, EDGE):
            return Operation(READ, self._some(1, {kind: 1}))
        source = self._number(self._sources.ranks(1)[0])
        return Operation(kind, (source,), sum(edge < self._rows for edge in edges_of(source)))

    def hit_ratio_max(self, mix: Mix, room: int) -> float:
        """Return the share of reads of one row that a cache can answer which has room for so many rows at a time.

        Each read is drawn by itself. So no cache, however it chooses, answers more of them than one that holds the rows
        which are asked for most, unless it knows what will be asked: the sum of the largest shares, as they are drawn.
        """
        kinds = {kind: share for kind, share in mix.reads.items() if kind in (OBJECT, EDGE)}
        parts = [kind * shard for kind, shard in itertools.product(kinds.values(), SHARDS)]
        shares = sorted((part * rank for part in parts for rank in self._keys.shares()), reverse=True)
        return sum(shares[:room]) / sum(parts)

    def read_transaction(self) -> Operation:
        """Return a read transaction, which names nothing twice."""
        return Operation(READ_TRANSACTION, self._some(self._size(), READS_OF_TRANSACTIONS))

    def _size(self) -> int:
        share = self._dice.random()
        place = bisect.bisect_right(SIZES, share, key=lambda point: point[0])
        (low, small), (high, large) = SIZES[place - 1], SIZES[place]
        part = (share - low) / (high - low)
        return round(math.exp(math.log(small) + part * (math.log(large) - math.log(small))))

    def _one(self, shares: Mapping[str, int]) -> str:
        (chosen,) = self._dice.choices(list(shares), shares.values())
        return chosen

    def _number(self, rank: int) -> int:
        (shard,) = self._dice.choices(range(len(SHARDS)), SHARDS)
        return rank * len(SHARDS) + shard

    def _some(self, count: int, kinds: Mapping[str, int]) -> tuple[int, ...]:
        chosen = self._dice.choices(list(kinds), kinds.values(), k=count)
        numbers = map(self._number, self._keys.ranks(count))
        found = (
            number if kind == OBJECT else -1 - number for number, kind in zip(numbers, chosen, strict=True)
        )
        return tuple(dict.fromkeys(found))


def source_of(edge: int) -> int:
    """Return the object that an edge begins at, both counted from 0."""
    rank, shard = divmod(edge, len(SHARDS))
    return rank // EDGES_OF_OBJECT * len(SHARDS) + shard


def edges_of(source: int) -> list[int]:
    """Return the edges that may begin at an object, counted from 0."""
    rank, shard = divmod(source, len(SHARDS))
    return [(rank * EDGES_OF_OBJECT + index) * len(SHARDS) + shard for index in range(EDGES_OF_OBJECT)]


def name_of(number: int) -> str:
    """Return the name of an object, or of an edge."""
    return f"objects/o{number:08d}" if number >= 0 else f"edges/e{-1 - number:08d}"


def steps(operation: Operation, round_name: str) -> tuple[Request, ...]:
    """Return the calls of an operation: a transaction's objects and edges are one call each, its writes one by one."""
    if operation.kind == READ:
        return (_get(operation.rows[0]),)
    if operation.kind == READ_TRANSACTION:
        objects = [number for number in operation.rows if number >= 0]
        edges = [number for number in operation.rows if number < 0]
        return tuple(_batch_get(numbers) for numbers in (objects, edges) if numbers)
    if operation.kind in (RANGE, COUNT):
        return (_of_source(operation),)
    return tuple(_put(number, round_name) for number in operation.rows)


def _request(method: str, request: Any, names: Sequence[str]) -> Request:
    expected = tuple(name.encode() for name in names)
    return Request(b"POST", f"/tao.v1.TaoService/{method}".encode(), request.SerializeToString(), expected)


def _get(number: int) -> Request:
    name = name_of(number)
    if number >= 0:
        return _request("GetObject", messages.GetObjectRequest(name=name), [name])
    return _request("GetEdge", messages.GetEdgeRequest(name=name), [name])


def _batch_get(numbers: Sequence[int]) -> Request:
    names = [name_of(number) for number in numbers]
    if numbers[0] >= 0:
        return _request("BatchGetObjects", messages.BatchGetObjectsRequest(names=names), names)
    return _request("BatchGetEdges", messages.BatchGetEdgesRequest(names=names), names)


def _of_source(operation: Operation) -> Request:
    """Return the call for the edges of an object, the newest first, or for their number."""
    (source,) = operation.rows
    name = name_of(source)
    if operation.kind == COUNT:
        count = messages.CountEdgesResponse(count=operation.count).SerializeToString()
        request = messages.CountEdgesRequest(source=name)
        return Request(b"POST", b"/tao.v1.TaoService/CountEdges", request.SerializeToString(), (count,))
    edges = [name_of(-1 - edge) for edge in edges_of(source)[: operation.count]]
    request = messages.ListEdgesRequest(
        page_size=EDGES_OF_OBJECT, filter=f'source = "{name}"', order_by=NEWEST
    )
    return _request("ListEdges", request, edges[::-1])


def _put(number: int, round_name: str) -> Request:
    name, value = name_of(number), round_name.encode().ljust(VALUE_BYTES, b".")
    if number >= 0:
        one = messages.Object(name=name, timestamp=abs(number), value=value)
        return _request("UpdateObject", messages.UpdateObjectRequest(object=one, allow_missing=True), [name])
    source = name_of(source_of(-1 - number))
    one = messages.Edge(name=name, timestamp=abs(number), value=value, source=source)
    return _request("UpdateEdge", messages.UpdateEdgeRequest(edge=one, allow_missing=True), [name])
