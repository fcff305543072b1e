"""The protocol holds in every small world, and no rule of it is there for nothing."""

from __future__ import annotations

import pytest
from tests.consistency.case import Case
from tests.consistency.cases import BROKEN, SMALL
from tests.consistency.part_cases import BROKEN_PARTS, SMALL_PARTS


@pytest.mark.parametrize("case", [*SMALL, *SMALL_PARTS], ids=lambda case: case.name)
def test_every_reachable_state_is_good(case: Case) -> None:
    outcome = case.run()
    assert outcome.is_complete
    assert outcome.complaint is None, "\n".join(outcome.trace)


@pytest.mark.parametrize("case", [*BROKEN, *BROKEN_PARTS], ids=lambda case: case.name)
def test_without_one_of_its_rules_the_protocol_breaks(case: Case) -> None:
    outcome = case.run()
    assert outcome.complaint is not None
    assert outcome.trace
