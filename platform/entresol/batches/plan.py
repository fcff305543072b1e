"""One run as an engine is given it: what is read, mapped and reduced, and who hears how far it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entresol.storage.analytics import Analytics, Moment

# Rows of the result, each in the order of `Plan.columns`.
Rows = Sequence[Any]
ROWS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done where: each of `reads` gives a part of the input, for `map`; `reduce` is given what came of all.

    `map` and `reduce` are statements over `input` and `mapped`, or functions. `pushed_down` is all of it as one
    statement; None for functions.
    """

    moment: Moment
    reads: tuple[str, ...]
    count: str
    map: Any
    reduce: Any
    pushed_down: str | None
    columns: tuple[str, ...]
    memory_bytes: int
    folder: str  # for what does not fit into memory; "": the system's for temporary files

    @property
    def spill(self) -> Path | None:
        """Return the folder to make temporary ones in."""
        return Path(self.folder) if self.folder else None


@dataclass(slots=True)
class Running:
    """A plan that is carried out. `input_rows` is known once the engine has given all rows of the result."""

    plan: Plan
    analytics: Analytics
    report: Callable[[int, str], None]
    cluster: str  # address of the engine's cluster, if it has one
    input_rows: int = field(default=0)

    def read(self, parts: int, rows: int) -> None:
        """Tell that so many parts of the input are read, of so many rows."""
        self.input_rows += rows
        count = len(self.plan.reads)
        self.report(90 * parts // count, f"read {parts} of {count} parts")


Engine = Callable[[Running], AsyncGenerator[Rows]]
