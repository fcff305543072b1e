"""What clients do, whatever they speak."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# The reads that ask for one row each time, by the kinds that read rows which there are before.
_SINGLE = {
    "get": "get",
    "modify": "get",
    "batch_get": "get",
    "graph_read": "graph_read",
    "graph_reads": "graph_read",
}
SINGLE_READS = frozenset(_SINGLE.values())


@dataclass(frozen=True, slots=True)
class Operation:
    """What one client does once: `kind` is one that its system's `speech` knows."""

    kind: str
    rows: tuple[int, ...]  # those it is about; of a list, the first
    count: int = 1  # of a list, how many


def reads_of(operations: Iterable[Operation], below: int) -> list[Operation]:
    """Return a read of each row that these read, once, of those numbered below: the others are not there yet."""
    pairs = {
        (_SINGLE[operation.kind], row)
        for operation in operations
        if operation.kind in _SINGLE
        for row in operation.rows
        if row < below
    }
    return [Operation(kind, (row,)) for kind, row in sorted(pairs)]
