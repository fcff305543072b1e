"""A case of the model: bounds, the rules that are in force, and what is expected."""

from __future__ import annotations

from dataclasses import dataclass

from tests.consistency.explorer import Outcome, explore
from tests.consistency.rules import Bounds, Rules

ALL_RULES = Rules()


@dataclass(frozen=True)
class Case:
    """Rules and bounds, and whether the protocol holds under them."""

    name: str
    text: str
    bounds: Bounds
    rules: Rules = ALL_RULES
    holds: bool = True

    def run(self) -> Outcome:
        """Explore the case."""
        return explore(self.rules, self.bounds)


def without(name: str, text: str, bounds: Bounds, **rules: bool) -> Case:
    """Return a case that breaks, because rules are changed."""
    return Case(name, text, bounds, Rules(**rules), holds=False)
