"""Every value that is shown was written by somebody, who was not told that nothing had been changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.consistency.checks.operation import Operation
from tests.consistency.checks.violation import Violation, describe


def invented(operations: Sequence[Operation], final: Mapping[str, int | None]) -> list[Violation]:
    """Return the reads, and the `final` rows, with a value that nobody wrote or whose write failed."""
    written = {(one.key, one.value) for one in operations if one.kind == "write" and one.outcome != "failed"}
    shown = [
        one for one in operations if one.kind == "read" and one.outcome == "ok" and one.value is not None
    ]
    rows = [(key, value) for key, value in final.items() if value is not None]
    return [
        Violation("invented", f"{read.key}: {describe(read)}, but nobody wrote that", (read,))
        for read in shown
        if (read.key, read.value) not in written
    ] + [
        Violation("invented", f"{key}: in the end the row has {value}, but nobody wrote that", ())
        for key, value in rows
        if (key, value) not in written
    ]
