"""TAOBench's workload O, what the whole product asks of the graph, and its read transactions by themselves.

Cheng et al., "TAOBench: An End-to-End Benchmark for Social Network Workloads", PVLDB 15(9), 2022, and its published
`workload_o.json`: the shares of operations, the sizes of transactions and the skew over 50 shards are those. Within a
shard, where nothing is published, keys are zipf with exponent 0.99.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import asyncpg
import grpc
from tests.bench.keys import Keys
from tests.bench.operation import Operation
from tests.bench.wire import Request

messages = grpc.protos("tests/bench/peers/tao.proto")

SHARDS = (94036, 36224, 3600, *itertools.repeat(612, 47))  # how often each is asked
READ, WRITE, READ_TRANSACTION, WRITE_TRANSACTION = "graph_read", "graph_write", "graph_reads", "graph_writes"
OPERATIONS = {READ: 8387, WRITE: 19, READ_TRANSACTION: 242, WRITE_TRANSACTION: 1}
OBJECT, EDGE = "object", "edge"
READS = {OBJECT: 479, EDGE: 475}
READS_OF_TRANSACTIONS = {OBJECT: 1, EDGE: 5}
WRITES = {OBJECT: 219 + 75, EDGE: 1 + 321}  # added, or changed
# Sizes of read transactions at shares of them; between two, as evenly by logarithm.
SIZES = (
    *((0.0, 2), (0.25, 2), (0.4, 3), (0.5, 4), (0.6, 5), (0.7, 8), (0.75, 11), (0.8, 16), (0.85, 27)),
    *((0.9, 49), (0.95, 98), (0.97, 145), (0.99, 241), (0.995, 327), (0.999, 451), (1.0, 499)),
)
WRITES_OF_TRANSACTION = 5  # in the mean
VALUE_BYTES = 150
STATEMENT_TIMEOUT_S = 120.0
KINDS = frozenset(OPERATIONS)

FILL = """
INSERT INTO {table} (name, timestamp, value)
SELECT '{table}/{letter}' || lpad(number::text, 8, '0'), number,
       decode(substr(repeat(md5(concat_ws(':', $2::text, number)), 10), 1, 2 * $3::integer), 'hex')
FROM generate_series(0, $1::integer - 1) number
"""


async def fill(connection: asyncpg.Connection, rows: int, seed: int, *, uid_type: str) -> None:
    """Write as many objects, and as many edges; `uid_type` is of no matter here."""
    for table in ("objects", "edges"):
        text = FILL.format(table=table, letter=table[0])
        await connection.execute(text, rows, str(seed), VALUE_BYTES, timeout=STATEMENT_TIMEOUT_S)
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=STATEMENT_TIMEOUT_S)


class Graph:
    """Which objects and edges are asked for. An edge's number is below zero: -1 is that of the first."""

    def __init__(self, rows: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self._keys = Keys(max(1, rows // len(SHARDS)), seed)

    def operation(self) -> Operation:
        """Return the next of workload O."""
        (kind,) = self._dice.choices(list(OPERATIONS), OPERATIONS.values())
        match str(kind):
            case "graph_read":
                return Operation(READ, self._some(1, READS))
            case "graph_write":
                return Operation(WRITE, self._some(1, WRITES))
            case "graph_reads":
                return self.read_transaction()
            case _:
                return Operation(WRITE_TRANSACTION, self._some(WRITES_OF_TRANSACTION, WRITES))

    def read_transaction(self) -> Operation:
        """Return a read transaction, which names nothing twice."""
        return Operation(READ_TRANSACTION, self._some(self._size(), READS_OF_TRANSACTIONS))

    def _size(self) -> int:
        share = self._dice.random()
        place = bisect.bisect_right(SIZES, share, key=lambda point: point[0])
        (low, small), (high, large) = SIZES[place - 1], SIZES[place]
        part = (share - low) / (high - low)
        return round(math.exp(math.log(small) + part * (math.log(large) - math.log(small))))

    def _some(self, count: int, kinds: dict[str, int]) -> tuple[int, ...]:
        shards = self._dice.choices(range(len(SHARDS)), SHARDS, k=count)
        chosen = self._dice.choices(list(kinds), kinds.values(), k=count)
        numbers = (
            rank * len(SHARDS) + shard for rank, shard in zip(self._keys.ranks(count), shards, strict=True)
        )
        found = (
            number if kind == OBJECT else -1 - number for number, kind in zip(numbers, chosen, strict=True)
        )
        return tuple(dict.fromkeys(found))


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


def _put(number: int, round_name: str) -> Request:
    name, value = name_of(number), round_name.encode().ljust(VALUE_BYTES, b".")
    if number >= 0:
        one = messages.Object(name=name, timestamp=abs(number), value=value)
        return _request("UpdateObject", messages.UpdateObjectRequest(object=one, allow_missing=True), [name])
    one = messages.Edge(name=name, timestamp=abs(number), value=value)
    return _request("UpdateEdge", messages.UpdateEdgeRequest(edge=one, allow_missing=True), [name])
