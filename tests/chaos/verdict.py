"""The verdict over one scenario: what was done, what was broken, what held, in one line of JSON."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.chaos import verification
from tests.chaos.ground import Fault
from tests.chaos.lag import Lag
from tests.chaos.loss import without
from tests.chaos.scenarios import Scenario
from tests.chaos.workload import Failure
from tests.consistency.checks.endings import lost_writes, stale_for_good
from tests.consistency.checks.inventions import invented
from tests.consistency.checks.operation import Operation
from tests.consistency.checks.sessions import monotonic_reads, read_your_writes
from tests.consistency.checks.staleness import CACHE, NEAR, hits
from tests.consistency.checks.strong import strong
from tests.consistency.checks.violation import Violation

from entresol.config import Settings
from entresol.errors import Code

EXAMPLES = 5
HITS_S, HITS_STEP_S = 2.0, 0.25
LAG_TOLERANCE_S = 0.3  # of what is sampled on a busy machine
SOURCES = (CACHE, NEAR, "replica")
STATES_MAX = 100_000  # some seconds for each key that many write


@dataclass(frozen=True)
class Evidence:
    """All that is known of a scenario that was played."""

    operations: Sequence[Operation]
    after: Sequence[Operation]  # what every server answered when all was quiet
    failures: Sequence[Failure]
    faults: Sequence[Fault]
    rows: Mapping[str, int | None]
    recovery_s: float
    loss: Sequence[tuple[float, float]] = ()
    lag: Lag = field(default_factory=Lag)
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What is printed, and whether all held."""

    line: dict[str, Any]
    held: bool


def judge(scenario: Scenario, seed: int, evidence: Evidence) -> Verdict:
    """Check everything."""
    operations = list(evidence.operations)
    for start_s, end_s in evidence.loss:
        operations = without(operations, start_s, end_s)
    strong_reads = strong(operations, states_max=STATES_MAX)
    violations = [
        *invented(operations, evidence.rows),
        *read_your_writes(operations),
        *monotonic_reads(operations),
        *strong_reads.violations,
        *lost_writes(operations, evidence.rows),
        *stale_for_good(evidence.after, evidence.rows),
        *_unanswered(evidence.after),
        *_internal(evidence.failures),
    ]
    kinds = Counter(violation.check for violation in violations)
    ages_s = _ages_s(operations)
    missed = [] if scenario.is_naive else _missed(scenario, evidence, ages_s)
    back_s = _hits_back_s(evidence)
    beyond_s = _beyond_lag_s(operations, evidence)
    if beyond_s and max(beyond_s) > LAG_TOLERANCE_S:
        missed.append(f"a BOUNDED hit was {max(beyond_s):.2f} s older than the relay's lag and a copy's age")
    held = bool(violations) if scenario.is_naive else not violations and not missed
    line = {
        "scenario": scenario.name,
        "seed": seed,
        "held": held,
        "operations": len(evidence.operations),
        "faults": dict(Counter(fault.kind for fault in evidence.faults)),
        "fault_s_max": _longest_s(evidence.faults),
        "outcomes": _count(f"{one.kind} {one.outcome}" for one in evidence.operations),
        "answered_by": _count(one.answered_by for one in evidence.operations if one.answered_by),
        "violations": dict(kinds),
        "undecided": len(strong_reads.undecided),
        "missed": missed,
        "staleness_s": {name: _spread(found) for name, found in sorted(ages_s.items())},
        "recovery_s": round(evidence.recovery_s, 3),
        "answered_in_faults": _answered(evidence),
        "failures": _count(_name(failure) for failure in evidence.failures),
        "updates_refused_ms": _spread(_refused_ms(evidence)),
        "hits_in_faults_ms": _spread(_hits_ms(evidence)),
        "first_update_s": _first_updates_s(evidence),
        "hits_back_s": back_s,
        "bounded_beyond_lag_s": _spread(beyond_s),
        "not_measured": [] if back_s or math.isinf(scenario.hits_back_s_max) else ["hits_back_s"],
        **evidence.figures,
        "examples": [_sentence(violation) for violation in _examples(violations)],
    }
    return Verdict(line, held)


def _unanswered(after: Sequence[Operation]) -> list[Violation]:
    """Find reads that a server refuses when all is quiet."""
    return [
        Violation("no answer in the end", f"{one.key}: {one.session} was refused", (one,))
        for one in after
        if one.outcome != "ok"
    ]


def _internal(failures: Sequence[Failure]) -> list[Violation]:
    """Find calls that the server itself calls its own mistake: no fault may come out as one."""
    return [
        Violation("internal error", f"{one.kind} at {one.start_s:.3f}: {one.text}", ())
        for one in failures
        if one.code in (Code.INTERNAL, Code.UNKNOWN) and one.reason
    ]


def _ages_s(operations: Sequence[Operation]) -> dict[str, list[float]]:
    """Return how old answers were, by level and source."""
    ages_s: defaultdict[str, list[float]] = defaultdict(list)
    for hit in hits(operations, SOURCES):
        ages_s[f"{hit.read.level} {hit.read.answered_by}"].append(hit.age_s)
    return ages_s


def _beyond_lag_s(operations: Sequence[Operation], evidence: Evidence) -> list[float]:
    """Return by how much BOUNDED hits were older than the cache was behind, and a copy in a server may be beyond that.

    Where a promotion lost commits, positions cannot be compared over it, and nothing is told.
    """
    if evidence.loss:
        return []
    beyond_s = []
    for hit in hits(operations):
        if hit.read.level == "BOUNDED":
            # What is shown was in the cache at some moment of the call, or as long before it as a copy may be old; how
            # far the cache was behind then is what counts.
            copy_s = Settings().near_age_max_s if hit.read.answered_by == NEAR else 0.0
            start_s = hit.read.start_s
            allowed_s = evidence.lag.seconds(start_s, start_s - copy_s, hit.read.end_s)
            if allowed_s is not None:
                beyond_s.append(max(0.0, hit.age_s - allowed_s))
    return beyond_s


def _missed(scenario: Scenario, evidence: Evidence, ages_s: Mapping[str, Sequence[float]]) -> list[str]:
    """Return the bounds of the scenario that were not kept."""
    answered, missed = _answered(evidence), []
    if evidence.recovery_s > scenario.recovery_s_max:
        missed.append(f"recovered after {evidence.recovery_s:.1f} s, not {scenario.recovery_s_max:g}")
    oldest_s = max((*ages_s.get(f"BOUNDED {CACHE}", ()), *ages_s.get(f"BOUNDED {NEAR}", ())), default=0.0)
    if oldest_s > scenario.hit_age_s_max:
        missed.append(f"a BOUNDED hit was {oldest_s:.1f} s old, not {scenario.hit_age_s_max:g}")
    for kind, least in (("reads", scenario.reads_min), ("updates", scenario.updates_min)):
        if answered[kind] is not None and answered[kind] < least:
            missed.append(f"{answered[kind]:.5f} of {kind} were answered, not {least:g}")
    # What the machine itself takes under this load is seen by the hits, which go nowhere near what is broken.
    refused_ms, hits_ms = (
        _spread(found).get("p99", 0.0) for found in (_refused_ms(evidence), _hits_ms(evidence))
    )
    back_s = [found for kind, found in _hits_back_s(evidence).items() if found > scenario.hits_back_s_max]
    if back_s:
        missed.append(f"hits were as before after {max(back_s):g} s, not {scenario.hits_back_s_max:g}")
    if verification.FIGURE in evidence.figures:
        facts = evidence.figures[verification.FIGURE]
        oldest_s = max((max(found) for found in ages_s.values() if found), default=0.0)
        missed += verification.disagreements(facts, evidence.operations, oldest_s)
    if refused_ms - hits_ms > scenario.refused_ms_max:
        missed.append(f"p99 of refusals {refused_ms:.0f} ms, of hits {hits_ms:.0f} ms")
    return missed


def _refused_ms(evidence: Evidence) -> list[float]:
    """Return how long updates that failed were kept waiting."""
    return [(one.end_s - one.start_s) * 1000 for one in evidence.failures if one.kind != "read"]


def _hits_ms(evidence: Evidence) -> list[float]:
    """Return how long hits took while something was broken."""
    return [
        (one.end_s - one.start_s) * 1000
        for one in _in_faults(evidence)
        if one.kind == "read" and one.answered_by in (CACHE, NEAR)
    ]


def _in_faults(evidence: Evidence) -> Iterator[Operation]:
    """Return what began while something was broken."""
    spans = [(fault.start_s, fault.end_s) for fault in evidence.faults]
    for one in evidence.operations:
        if any(start_s <= one.start_s <= end_s for start_s, end_s in spans):
            yield one


def _answered(evidence: Evidence) -> dict[str, float | None]:
    """Return the share of calls that were answered, of those that began while something was broken."""
    counts: Counter[tuple[str, bool]] = Counter()
    for one in _in_faults(evidence):
        kind = "updates" if one.kind != "read" else "strong" if one.level == "STRONG" else "reads"
        counts[kind, one.outcome == "ok"] += 1
    shares: dict[str, float | None] = {}
    for kind in ("reads", "strong", "updates"):
        total = counts[kind, True] + counts[kind, False]
        shares[kind] = round(counts[kind, True] / total, 5) if total else None
    return shares


def _first_updates_s(evidence: Evidence) -> dict[str, float]:
    """Return, for each kind of fault, how long after its end the next update was answered, at the latest."""
    ends_s = sorted(one.end_s for one in evidence.operations if one.kind != "read" and one.outcome == "ok")
    longest: dict[str, float] = {}
    for fault in evidence.faults:
        after = bisect_left(ends_s, fault.end_s)
        if after < len(ends_s):
            longest[fault.kind] = round(max(longest.get(fault.kind, 0.0), ends_s[after] - fault.end_s), 3)
    return longest


def _hits_back_s(evidence: Evidence) -> dict[str, float]:
    """Return, for each kind of fault, how long after its end reads were hits again as often as before, at the latest.

    As often: in a second, nine tenths of the share in the second before all faults. Where the next fault came before
    that, it is the time between them; one that comes within `HITS_S` tells nothing.
    """
    reads = sorted(
        (one.start_s, one.answered_by in (CACHE, NEAR))
        for one in evidence.operations
        if one.kind == "read" and one.outcome == "ok" and one.level in ("EVENTUAL", "BOUNDED")
    )
    starts_s = [start_s for start_s, _ in reads]

    def share(from_s: float) -> float:
        found = [
            is_hit for _, is_hit in reads[bisect_left(starts_s, from_s) : bisect_left(starts_s, from_s + 1.0)]
        ]
        return sum(found) / len(found) if found else 0.0

    faults = sorted(evidence.faults, key=lambda fault: fault.start_s)
    longest: dict[str, float] = {}
    if not reads or not faults:
        return longest
    usual = share(faults[0].start_s - 1.0)
    ends_s = [fault.start_s for fault in faults[1:]] + [starts_s[-1]]
    for fault, next_s in zip(faults, ends_s, strict=True):
        if next_s - fault.end_s < HITS_S:
            continue
        after_s = 0.0
        while after_s < next_s - fault.end_s and share(fault.end_s + after_s) < 0.9 * usual:
            after_s += HITS_STEP_S
        longest[fault.kind] = max(longest.get(fault.kind, 0.0), round(after_s, 3))
    return longest


def _longest_s(faults: Sequence[Fault]) -> dict[str, float]:
    """Return how long the longest fault of each kind lasted."""
    longest: dict[str, float] = {}
    for fault in faults:
        longest[fault.kind] = round(max(longest.get(fault.kind, 0.0), fault.end_s - fault.start_s), 3)
    return longest


def _name(failure: Failure) -> str:
    try:
        code = Code(failure.code).name
    except ValueError:
        code = str(failure.code)
    retry = "" if failure.retry_s is None else " with retry"
    return f"{failure.kind} {code} {failure.reason or 'by the connection'}{retry}"


def _count(names: Any) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Return how many there are, and their median, 99th percentile and maximum."""
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    last = len(ordered) - 1
    return {
        "count": len(ordered),
        "p50": round(ordered[last // 2], 3),
        "p99": round(ordered[int(last * 0.99)], 3),
        "max": round(ordered[-1], 3),
    }


def _examples(violations: Sequence[Violation]) -> list[Violation]:
    """Return some of each kind."""
    seen: Counter[str] = Counter()
    chosen = []
    for violation in violations:
        seen[violation.check] += 1
        if seen[violation.check] <= EXAMPLES:
            chosen.append(violation)
    return chosen


def _sentence(violation: Violation) -> str:
    """Return what was found, and who answered at last."""
    text = f"{violation.check}: {violation.sentence}"
    return f"{text} ({violation.operations[-1].answered_by})" if violation.operations else text
