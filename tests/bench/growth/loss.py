"""What is lost while a machine is away, from what was answered in each moment of a run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from tests.bench import report
from tests.bench.report import INTERVAL_S

# Seconds of the run in which a machine dies and comes back; what is between is left to the balancer to notice.
DIES_S, NOTICED_S, BACK_S, WARM_S, END_S = 4.0, 2.0, 12.0, 6.0, 24.0


def told(what: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the load saw of a run in which `what` died, and say so."""
    found = shares(answer["ended"])
    failed = {code: number for code, number in answer["codes"].items() if code != "OK"}
    report.say(f"{what} dies: {found}, failed: {failed or 'none'}")
    kept = {name: answer[name] for name in ("repeated", "codes", "ended")}
    return {**found, "failed": sum(failed.values()), **kept}


def shares(ended: list[int]) -> dict[str, float]:
    """Return calls a second before a server dies, while it is away, and when it is back, of counts by interval."""
    before = _rate(ended, DIES_S / 2, DIES_S)
    away = _rate(ended, DIES_S + NOTICED_S, BACK_S)
    back = _rate(ended, BACK_S + WARM_S, END_S)
    return {
        "before_per_s": before,
        "away_per_s": away,
        "back_per_s": back,
        "lost": round(1 - away / before, 4),
        "regained": round(back / before, 4),
    }


def _rate(ended: list[int], begin_s: float, end_s: float) -> float:
    chosen = ended[int(begin_s / INTERVAL_S) : int(end_s / INTERVAL_S)]
    return round(statistics.fmean(chosen) / INTERVAL_S, 1)
