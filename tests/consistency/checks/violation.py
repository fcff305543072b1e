"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass

from tests.consistency.checks.operation import Operation


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: a sentence that says how, and the operations that prove it, the last the worst."""

    check: str
    sentence: str
    operations: tuple[Operation, ...]


def describe(operation: Operation) -> str:
    """Return what a session did, for a sentence."""
    value = "nothing" if operation.value is None else operation.value
    what = (
        "deleted"
        if operation.kind == "delete"
        else f"{'read' if operation.kind == 'read' else 'wrote'} {value}"
    )
    return f"{operation.session} {what} from {operation.start_s:.6f} to {operation.end_s:.6f} s"
