"""What the instruments have counted, as pages show it: ratios, sums by a label, quantiles of durations."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import Metric as Family
from prometheus_client.samples import Sample

READS, WRITES, LISTS, FAILURES = (
    f"entresol_cache_{name}_total" for name in ("reads", "writes", "lists", "failures")
)
CALLS = "rpc_server_call_duration_seconds"
RESOURCE, REASON, OPERATION = "entresol_resource", "entresol_reason", "db_operation_name"
_HITS = ("near", "hit")
_WINDOW_S = 60.0

Samples = Mapping[str, Sequence[Sample]]  # by name


def samples_of(families: Iterable[Family]) -> Samples:
    """Return the samples of families by their names."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for family in families:
        for sample in family.samples:
            found[sample.name].append(sample)
    return found


def sums(samples: Samples, name: str, *labels: str) -> Counter[tuple[str, ...]]:
    """Return the sum of a counter by the values of these labels."""
    found: Counter[tuple[str, ...]] = Counter()
    for sample in samples.get(name, ()):
        found[tuple(sample.labels.get(label, "") for label in labels)] += int(sample.value)
    return found


@dataclass(frozen=True, slots=True)
class Reads:
    """Look-ups of one resource, or of all, by where the answer was."""

    near: int = 0
    hit: int = 0
    miss: int = 0
    failure: int = 0

    @property
    def total(self) -> int:
        """Return how many there were."""
        return self.near + self.hit + self.miss + self.failure

    @property
    def ratio(self) -> float | None:
        """Return the share that was found; None where nothing was looked up."""
        return (self.near + self.hit) / self.total if self.total else None


def reads(counts: Mapping[tuple[str, ...], int]) -> Reads:
    """Return the look-ups of counts whose key ends with the reason."""
    by_reason: Counter[str] = Counter()
    for key, number in counts.items():
        by_reason[key[-1]] += number
    return Reads(*(by_reason[name] for name in ("near", "hit", "miss", "failure")))


def reads_by_resource(samples: Samples) -> dict[str, Reads]:
    """Return the look-ups of each resource type."""
    counts = sums(samples, READS, RESOURCE, REASON)
    types = sorted({key[0] for key in counts})
    return {one: reads({key: number for key, number in counts.items() if key[0] == one}) for one in types}


@dataclass(slots=True)
class Recent:
    """Counts of about the last minute. They are compared when somebody looks, so that nobody pays who does not."""

    _seen: deque[tuple[float, Counter[tuple[str, ...]]]] = field(default_factory=deque)

    def change(self, counts: Counter[tuple[str, ...]]) -> tuple[Counter[tuple[str, ...]], float]:
        """Return by how much counts have grown, and in how many seconds, at most those of the window."""
        now_s = time.monotonic()
        while len(self._seen) > 1 and now_s - self._seen[1][0] >= _WINDOW_S:
            self._seen.popleft()
        if self._seen and now_s - self._seen[0][0] > 2 * _WINDOW_S:  # nobody has looked for long
            self._seen.clear()
        self._seen.append((now_s, counts))
        then_s, before = self._seen[0]
        return counts - before, now_s - then_s


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one method: how many, how many were refused or failed, and their durations."""

    method: str
    total: int
    failed: Mapping[str, int]  # by code
    median_s: float | None
    slow_s: float | None  # 99 of 100 are quicker


def calls_by_method(samples: Samples) -> list[Calls]:
    """Return the calls of each method, the busiest first."""
    counts = sums(samples, f"{CALLS}_count", "rpc_service", "rpc_method", "rpc_grpc_status_code")
    buckets = sums(samples, f"{CALLS}_bucket", "rpc_service", "rpc_method", "le")
    bounds: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
    for (service, method, bound), number in buckets.items():
        bounds[service, method].append((float(bound), number))
    totals: Counter[tuple[str, str]] = Counter()
    failed: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for (service, method, code), number in counts.items():
        totals[service, method] += number
        if code != "0":
            failed[service, method][code] = number
    return [
        Calls(
            f"{service}.{method}",
            number,
            failed[service, method],
            quantile(bounds[service, method], 0.5),
            quantile(bounds[service, method], 0.99),
        )
        for (service, method), number in totals.most_common()
    ]


def quantile(buckets: Sequence[tuple[float, int]], wanted: float) -> float | None:
    """Return the upper bound of the bucket that holds a quantile; `buckets` are (bound, number up to it)."""
    ordered = sorted(buckets)
    if not ordered or not ordered[-1][1]:
        return None
    least = wanted * ordered[-1][1]
    last = 0.0
    for bound, number in ordered:
        if number >= least:
            return last if bound == float("inf") else bound
        last = bound
    return last
