"""What was found, counted as it comes: for metrics at once, as one JSON object at the end."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from entresol import telemetry
from entresol.cli.verification.readers import Reading

LISTED_MAX = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """A hit that was not what the primary had; `fields` are those whose values differ."""

    name: str
    target: str
    is_explained: bool
    cached_version: int
    primary_version: int
    age_s: float | None  # since the first change that the hit did not show; None: no such change is known
    fields: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "name": self.name,
            "target": self.target,
            "explained": self.is_explained,
            "cached_version": self.cached_version,
            "primary_version": self.primary_version,
            "age_s": None if self.age_s is None else round(self.age_s, 3),
            "fields": list(self.fields),
        }


@dataclass(slots=True)
class Share:
    """How many of how many were right."""

    right: int = 0
    total: int = 0

    def add(self, *, is_right: bool) -> None:
        """Count one more."""
        self.right += is_right
        self.total += 1

    @property
    def nines(self) -> float | None:
        """Return -log10 of the share that was wrong; as if one more had been wrong when none was: a lower bound."""
        if not self.total:
            return None
        return math.log10(self.total / max(1, self.total - self.right))

    def facts(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        nines = None if self.nines is None else math.floor(self.nines * 100) / 100
        wrong = self.total - self.right
        return {"reads": self.total, "wrong": wrong, "nines": nines, "nines_at_least": wrong == 0}


@dataclass(slots=True)
class Findings:
    """Counts over one run; `ages_s` are those at which writes are read back."""

    ages_s: Sequence[float]
    began_s: float = 0.0  # of the epoch
    ran_s: float = 0.0
    writes: int = 0
    sampled: int = 0
    gaps: int = 0
    hits: int = 0
    same: int = 0
    explained: int = 0
    unexplained: int = 0
    worst_staleness_s: float = 0.0
    worst_name: str = ""
    consistency: dict[float, Share] = field(init=False)
    visibility: Share = field(default_factory=Share)
    skipped: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start a count for each age."""
        self.consistency = {age_s: Share() for age_s in self.ages_s}

    def aged(self, age_s: float, *, is_right: bool) -> None:
        """Count a write that was read back at this age, and whether it showed."""
        self.consistency[age_s].add(is_right=is_right)
        outcome = "consistent" if is_right else "stale"
        telemetry.VERIFY_READS.add(1, {telemetry.AGE: age_s, telemetry.OUTCOME: outcome})

    def visible(self, *, is_right: bool) -> None:
        """Count a write that every target was asked for, and whether all showed it."""
        self.visibility.add(is_right=is_right)

    def stale(self, name: str, age_s: float) -> None:
        """Note a read that did not show a change of this age."""
        telemetry.VERIFY_STALENESS.record(age_s)
        if age_s > self.worst_staleness_s:
            self.worst_staleness_s, self.worst_name = age_s, name

    def compared(self, difference: Difference | None) -> None:
        """Count a hit that was compared with the primary."""
        self.hits += 1
        if difference is None:
            self.same += 1
            return
        self.explained += difference.is_explained
        self.unexplained += not difference.is_explained
        telemetry.VERIFY_DIFFERENCES.add(1, {telemetry.EXPLAINED: difference.is_explained})
        listed = sum(one.is_explained == difference.is_explained for one in self.differences)
        if listed < LISTED_MAX:
            self.differences.append(difference)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count reads that were not made."""
        self.skipped[reason] += count
        telemetry.VERIFY_SKIPPED.add(count, {telemetry.REASON: reason})

    def fail(self, target: str) -> None:
        """Count a read that the target did not answer."""
        self.failed[target] += 1
        telemetry.VERIFY_READS.add(1, {telemetry.OUTCOME: "failed"})

    @property
    def verdict(self) -> str:
        """Return the one sentence that matters."""
        if self.unexplained:
            differ = f"{self.unexplained} of {self.hits} hits differ from the primary"
            return f"{differ}, and the relay's lag does not explain it."
        if not self.hits:
            return "No hit was compared: nothing that was sampled was answered by the cache."
        return f"No unexplained difference in {self.hits} hits."

    def facts(self) -> dict[str, Any]:
        """Return the report; times in seconds."""
        return {
            "verdict": self.verdict,
            "ran": {"from_s": round(self.began_s, 3), "seconds": round(self.ran_s, 3)},
            "writes": {"committed": self.writes, "sampled": self.sampled, "gaps_in_the_log": self.gaps},
            "consistency": [{"age_s": age_s, **share.facts()} for age_s, share in self.consistency.items()],
            "visible_everywhere_within_2_s": self.visibility.facts(),
            "worst_staleness": {"seconds": round(self.worst_staleness_s, 3), "name": self.worst_name},
            "hits": {
                "compared": self.hits,
                "same": self.same,
                "explained": self.explained,
                "unexplained": self.unexplained,
            },
            "differences": [
                difference.facts()
                for difference in sorted(self.differences, key=lambda one: one.is_explained)
            ],
            "skipped": dict(self.skipped),
            "failed": dict(self.failed),
        }


def fields_that_differ(hit: Reading, primary: Reading) -> tuple[str, ...]:
    """Return the fields of the two messages that are not equal; none when one was not found."""
    one, other = hit.message, primary.message
    if one is None or other is None:
        return ()
    names = [item.name for item in one.DESCRIPTOR.fields]
    return tuple(name for name in names if getattr(one, name) != getattr(other, name))
