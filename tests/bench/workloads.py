"""The workloads: single calls, and the six of YCSB with the shares, skew and record size that were published.

YCSB: Cooper et al., "Benchmarking cloud serving systems with YCSB", SoCC 2010, and the files workloads/workload[a-f].
Keys: zipf with exponent 0.99 over the rows, scrambled with FNV-1a. (YCSB's own generator draws from 10^10 items and
hashes them over the rows, which is milder over few rows; this is the skew that it is named for.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.graph import APPLICATION, KINDS, KINDS_OF_O, OVERALL, READ_TRANSACTION, Graph, Mix
from tests.bench.keys import Keys
from tests.bench.operation import Operation

SCAN_ROWS_MAX = 100
UNDER_WAY = 64  # rows that were just asked to be created are not read yet: their creation may be under way


@dataclass(slots=True)
class Table:
    """How many rows there are; workloads that create some add to it."""

    rows: int
    first: int = 0  # how many there were before

    def __post_init__(self) -> None:
        self.first = self.rows


class Rows:
    """Which rows of a table are asked for next: of those that every system has. The same seed asks for the same."""

    def __init__(self, table: Table, seed: int, hot: int | None = None) -> None:
        self.dice = random.Random(seed)
        self._table = table
        self._keys = Keys(min(table.first, hot or table.first), seed)

    def some(self, count: int) -> list[int]:
        """Return rows by zipf."""
        return self._keys.draw(count)

    @property
    def graph(self) -> Graph:
        """Return the graph of as many objects, whose operations go on from here."""
        return Graph(self._table.first, self.dice.randrange(1 << 30))

    def new(self) -> int:
        """Return a row that there is not yet."""
        self._table.rows += 1
        return self._table.rows - 1

    def latest(self) -> int:
        """Return a row by zipf over their age, the newest first."""
        return max(0, self._table.rows - 1 - UNDER_WAY - self._keys.ranks(1)[0])


Draw = Callable[[Rows, int], list[Operation]]


@dataclass(frozen=True, slots=True)
class Workload:
    """Some operations, drawn from rows."""

    name: str
    draw: Draw
    kinds: frozenset[str]
    cached: bool = True
    hot: int | None = None  # so many stories are asked for, again and again; None: all of them
    share: float = 1.0  # of the operations of a round that others have: these cost more each


def single(kind: str, rows: int = 1, count: int = 1) -> Draw:
    """Return how to draw calls of one kind, each about so many rows."""

    def draw(source: Rows, calls: int) -> list[Operation]:
        found = source.some(calls * rows)
        return [
            Operation(kind, tuple(found[number * rows : (number + 1) * rows]), count)
            for number in range(calls)
        ]

    return draw


def distinct(rows: int) -> Draw:
    """Return how to draw BatchGets, none of which names a row twice."""

    def draw(source: Rows, calls: int) -> list[Operation]:
        def batch() -> tuple[int, ...]:
            found: dict[int, None] = {}
            while len(found) < rows:
                found.update(dict.fromkeys(source.some(rows)))
            return tuple(found)[:rows]

        return [Operation("batch_get", batch()) for _ in range(calls)]

    return draw


def create(source: Rows, calls: int) -> list[Operation]:
    """Return calls that each create a row."""
    return [Operation("create", (source.new(),)) for _ in range(calls)]


def mixed(latest: bool = False, **shares: float) -> Draw:
    """Return how to draw operations of several kinds, by their shares."""

    def draw(source: Rows, calls: int) -> list[Operation]:
        kinds = source.dice.choices(list(shares), list(shares.values()), k=calls)
        rows = source.some(calls)
        return [_operation(kind, row, source, latest) for kind, row in zip(kinds, rows, strict=True)]

    return draw


def _operation(kind: str, row: int, source: Rows, latest: bool) -> Operation:
    if kind == "create":
        return Operation(kind, (source.new(),))
    if kind == "list":
        return Operation(kind, (row,), source.dice.randint(1, SCAN_ROWS_MAX))
    return Operation(kind, (source.latest() if latest else row,))


def _workload(name: str, draw: Draw, *kinds: str, **others: object) -> Workload:
    return Workload(name, draw, frozenset(kinds), **others)  # type: ignore[arg-type]


def graph_of(mix: Mix) -> Draw:
    """Return how to draw operations of a workload on the graph."""

    def draw(source: Rows, calls: int) -> list[Operation]:
        graph = source.graph
        return [graph.operation(mix) for _ in range(calls)]

    return draw


def graph_reads(source: Rows, calls: int) -> list[Operation]:
    """Return read transactions on the graph."""
    graph = source.graph
    return [graph.read_transaction() for _ in range(calls)]


_YCSB: Mapping[str, tuple[Mapping[str, float], bool]] = {
    "ycsb_a": ({"get": 0.50, "update": 0.50}, False),
    "ycsb_b": ({"get": 0.95, "update": 0.05}, False),
    "ycsb_c": ({"get": 1.00}, False),
    "ycsb_d": ({"get": 0.95, "create": 0.05}, True),
    "ycsb_e": ({"list": 0.95, "create": 0.05}, False),
    "ycsb_f": ({"get": 0.50, "modify": 0.50}, False),
}

WORKLOADS: Sequence[Workload] = (
    _workload("hot_get", single("get"), "get", hot=50),
    _workload("get", single("get"), "get"),
    _workload("batch_get_1", distinct(1), "batch_get"),
    _workload("batch_get_10", distinct(10), "batch_get", share=0.25),
    _workload("batch_get_100", distinct(100), "batch_get", share=0.05),
    _workload("list_50", single("list", count=50), "list", share=0.1),
    _workload("update", single("update"), "update", share=0.5),
    _workload("create", create, "create", share=0.25),
    *(
        _workload(name, mixed(latest=latest, **shares), *shares, share=0.1 if "list" in shares else 0.5)
        for name, (shares, latest) in _YCSB.items()
    ),
    _workload("hot_batch_get_100", distinct(100), "batch_get", hot=500, share=0.25),
    _workload("tao_o", graph_of(OVERALL), *KINDS_OF_O),
    _workload("tao_o_reads", graph_reads, READ_TRANSACTION, share=0.25),
    _workload("tao_a", graph_of(APPLICATION), *KINDS, share=0.5),
    _workload("replica_get", single("get"), "get", cached=False),
)
