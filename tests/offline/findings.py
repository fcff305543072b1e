"""What a scenario found in figures, and which bars were not kept; the bars are those that ours is held to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from tests.offline.counts import (
    Away,
    Begun,
    Blow,
    Rows,
    begun_again,
    first_after_s,
    first_begun,
    in_flight,
    unseen,
)
from tests.offline.work import DRAIN_S, LEASE_S, tick

AGAIN_S_MAX = LEASE_S + 2.0
RESUMED_S_MAX = 2.0
HANDED_BACK_S_MAX = DRAIN_S + 1.0
LATE_S_MAX = 1.0
LATE_S_P50_MAX = 0.2
PROMPT_MIN = 10  # ticks, of which a median tells something


@dataclass
class Findings:
    """What was found. `missed` tells each bar that was not kept, `late` what began again too late."""

    figures: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)

    def at_most(self, name: str, found: float | None, most: float) -> None:
        """Note a figure, which misses its bar when it is greater, or is not there."""
        self.figures[name] = None if found is None else round(found, 2)
        if found is None or found > most:
            self.missed.append(f"{name}: {self.figures[name]}, not at most {most:g}")

    def exactly(self, name: str, found: int, wanted: int) -> None:
        """Note a figure, which misses its bar when it is another one."""
        self.figures[name] = found
        if found != wanted:
            self.missed.append(f"{name}: {found}, not {wanted}")


def of(rows: Rows) -> Findings:
    """Return what is asked of every scenario: nothing lost, nothing doubled, nothing of undone transactions."""
    found = Findings({"jobs": len(rows.orders)})
    found.exactly("lost", len(rows.lost), 0)
    found.exactly("doubled", len(rows.doubled), 0)
    found.exactly("invented", len(rows.invented), 0)
    return found


def of_blows(rows: Rows, blows: Sequence[Blow]) -> Findings:
    """Return as well how soon was begun again what was in flight at blows."""
    found = of(rows)
    _again(found, {blow: in_flight(blow, rows) for blow in blows}, rows, AGAIN_S_MAX)
    return found


def of_moments(rows: Rows, moments_s: Sequence[float]) -> Findings:
    """Return as well how soon after each moment another attempt began."""
    found = of(rows)
    found.at_most("resumed_s_max", _resumed_s(rows, moments_s), RESUMED_S_MAX)
    return found


def of_failover(
    rows: Rows, moments_s: Sequence[float], acknowledged: Collection[str], called: str
) -> Findings:
    """Return as well what the new primary lacks of what producers were told is put in.

    Jobs whose name begins with `called` have no order: their calls are repeated until they are acknowledged.
    """
    calls = frozenset(job for job in acknowledged if job.startswith(called))
    found = of_moments(replace(rows, orders=rows.orders | calls), moments_s)
    found.figures["acknowledged"] = len(acknowledged)
    found.exactly("acknowledged_lost", len(set(acknowledged) - rows.orders - calls), 0)
    if calls:
        by_calls = replace(rows, begun=[row for row in rows.begun if row.job in calls])
        found.at_most("called_resumed_s_max", _resumed_s(by_calls, moments_s), RESUMED_S_MAX)
    return found


def of_ticks(rows: Rows, nominal_s: Sequence[float], away: Sequence[Away]) -> Findings:
    """Return what became of the ticks of these nominal times.

    Those that came while nothing could begin count from its end. One that a process took and could not say so before it
    was hit, which the attempt's number tells, is to begin again as any job.
    """
    found = Findings({"ticks": len(nominal_s)})
    runs, first = Counter(row.job for row in rows.done), first_begun(rows)
    names = {tick(one).job: one for one in nominal_s}
    found.exactly("lost", sum(runs[name] == 0 for name in names), 0)
    found.exactly("doubled", sum(runs[name] > 1 for name in names), 0)
    prompt_s, hit_s, caught_up_s = [], [], []
    for name, one_s in names.items():
        if (begun := first.get(name)) is None:
            continue
        missed = [time for time in away if time.from_s - LATE_S_MAX < one_s < time.until_s]
        if missed and begun.begun_s > missed[0].from_s:
            caught_up_s.append(begun.begun_s - missed[-1].until_s)
        elif begun.attempt > 1:
            hit_s.append(begun.begun_s - one_s)
        else:
            prompt_s.append(begun.begun_s - one_s)
            if prompt_s[-1] > LATE_S_MAX:
                found.late.append(f"{name}: {prompt_s[-1]:.2f} s late")
    if len(prompt_s) >= PROMPT_MIN:
        found.at_most("late_s_p50", median(prompt_s), LATE_S_P50_MAX)
    elif prompt_s:
        found.figures["late_s_p50"] = round(median(prompt_s), 2)
    found.at_most("late_s_max", max(prompt_s, default=None), LATE_S_MAX)
    if hit_s:
        found.at_most("hit_late_s_max", max(hit_s), AGAIN_S_MAX)
    if away:
        found.figures["ticks_while_away"] = len(caught_up_s)
        found.at_most("caught_up_s_max", max(caught_up_s, default=None), RESUMED_S_MAX)
    return found


def of_handing_back(rows: Rows, blows: Sequence[Blow]) -> Findings:
    """Return as well what became of jobs whose worker was told to end; what it let end need not begin again."""
    found = of(rows)
    let_end = {(row.job, row.pid) for row in rows.done}
    handed = {
        blow: [row for row in in_flight(blow, rows) if (row.job, row.pid) not in let_end] for blow in blows
    }
    found.figures["let_end"] = sum(len(in_flight(blow, rows)) - len(back) for blow, back in handed.items())
    _again(found, handed, rows, HANDED_BACK_S_MAX)
    jobs = {row.job for back in handed.values() for row in back}
    number_max = max((row.attempt for row in rows.begun if row.job in jobs), default=1)
    found.exactly("attempts_used", number_max - 1, 0)
    return found


def _resumed_s(rows: Rows, moments_s: Sequence[float]) -> float | None:
    """Return the longest time from a moment until the next attempt began; None: no more did."""
    resumed = [first_after_s(moment_s, rows) for moment_s in moments_s]
    return None if None in resumed else max(one for one in resumed if one is not None)


def _again(found: Findings, hit: Mapping[Blow, Sequence[Begun]], rows: Rows, most_s: float) -> None:
    """Note how soon attempts were made again; where more than one worker was hit, for each of them."""
    pairs = [(blow, *pair) for blow, attempts in hit.items() for pair in begun_again(attempts, blow, rows)]
    found.figures["to_begin_again"] = len(pairs)
    found.exactly("never_again", sum(after is None for _, _, after in pairs), 0)
    times_s: list[float] = []
    for blow, before, after in pairs:
        if after is None:
            continue
        after_s, workers = after.begun_s - blow.at_s, 1 + unseen(before, after, blow, hit)
        times_s.append(after_s / workers)
        if times_s[-1] > most_s:
            numbers = f"attempt {after.attempt} after attempt {before.attempt}"
            # Whether who began it stood still, or others had it meanwhile.
            others = sum(
                row.pid == after.pid and blow.at_s < row.begun_s < after.begun_s for row in rows.begun
            )
            found.late.append(
                f"{before.job}: {numbers}, {after_s:.2f} s after the blow; hit: {workers}; "
                f"process {after.pid} began {others} others in between"
            )
    found.at_most("again_s_max", max(times_s, default=None), most_s)
