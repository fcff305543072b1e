"""What the checker says is held against what the clients saw."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chaos.verification import PLANTED, disagreements, writes_between
from tests.consistency.checks.operation import Operation

OPERATIONS = [
    Operation("ann", "users/a", "write", "SESSION", number, float(number), number + 0.1, outcome, "primary")
    for number, outcome in enumerate(["ok"] * 8 + ["unknown", "failed"])
]
FACTS = {
    "unexplained_names": sorted(PLANTED),
    "began_s": 0.0,
    "ran": {"from_s": 0.0, "seconds": 20.0},
    "writes": {"committed": 8, "gaps_in_the_log": 0},
    "worst_staleness": {"seconds": 0.4, "name": "users/a"},
}


def test_a_report_that_agrees_is_let_pass() -> None:
    assert disagreements(FACTS, OPERATIONS, 0.5) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"unexplained_names": ["users/planted-0"]}, "verify names"),
        ({"unexplained_names": sorted([*PLANTED, "users/b"])}, "verify names"),
        ({"writes": {"committed": 5, "gaps_in_the_log": 0}}, "verify counts 5"),
        ({"writes": {"committed": 99, "gaps_in_the_log": 0}}, "verify counts 99"),
        ({"writes": {"committed": 8, "gaps_in_the_log": 1}}, "lost the log 1"),
        ({"worst_staleness": {"seconds": 9.0, "name": "users/a"}}, "9.0 s of staleness"),
    ],
)
def test_a_report_that_differs_is_told(changed: dict[str, Any], says: str) -> None:
    (found,) = disagreements({**FACTS, **changed}, OPERATIONS, 0.5)
    assert says in found


def test_only_writes_that_are_surely_in_the_run_must_be_counted() -> None:
    assert writes_between(OPERATIONS, 0.0, 20.0) == (7, 9)
    assert writes_between(OPERATIONS, 2.5, 6.5) == (2, 6)
