"""What may be lost and is documented so: it is taken out of a history before that is judged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.consistency.checks.operation import Operation


def without(operations: Iterable[Operation], start_s: float, end_s: float) -> list[Operation]:
    """Return a history whose past after `start_s` may be lost: a promotion that ended at `end_s` documents that.

    What was under way between the two is in doubt if it is a write, and gone if it is a read; sessions begin anew.
    """
    kept: list[Operation] = []
    for one in operations:
        if one.end_s < start_s or one.start_s > end_s:
            kept.append(one if one.end_s < start_s else replace(one, session=f"{one.session}'"))
        elif one.kind != "read" and one.outcome == "ok":
            kept.append(replace(one, outcome="unknown"))
        elif one.kind != "read":
            kept.append(one)
    return kept
