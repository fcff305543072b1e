"""What was lost, doubled and begun again, counted from the rows that jobs wrote, alike for every system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Begun:
    """That an attempt began. Times are seconds since the epoch, of this machine's one clock."""

    job: str
    attempt: int
    pid: int
    begun_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """That an attempt was done."""

    job: str
    attempt: int
    pid: int
    begun_s: float
    done_s: float


@dataclass(frozen=True, slots=True)
class Blow:
    """That a worker's process was hit: between these moments."""

    pid: int
    at_s: float
    landed_s: float


@dataclass(frozen=True, slots=True)
class Away:
    """That nothing could begin: from one moment until another."""

    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that was written: the jobs that were put in, the attempts that began, those that were done."""

    orders: frozenset[str]
    begun: Sequence[Begun]
    done: Sequence[Done]

    @property
    def lost(self) -> set[str]:
        """Return jobs that were put in and never done."""
        return set(self.orders) - {row.job for row in self.done}

    @property
    def doubled(self) -> set[str]:
        """Return jobs that were done more than once."""
        return {job for job, count in Counter(row.job for row in self.done).items() if count > 1}

    @property
    def under_way(self) -> list[Begun]:
        """Return the attempts that began and were not done, those of workers that are gone among them."""
        done = {(row.job, row.pid) for row in self.done}
        return [row for row in self.begun if (row.job, row.pid) not in done]

    @property
    def invented(self) -> set[str]:
        """Return jobs that began though the transaction that put them in was undone."""
        return {row.job for row in self.begun} - self.orders


def in_flight(blow: Blow, rows: Rows) -> list[Begun]:
    """Return the attempts of a worker that had begun when it was hit, but for jobs that were done or others'."""
    done = {row.job for row in rows.done if row.done_s <= blow.landed_s}
    last: dict[str, Begun] = {}
    for row in sorted(rows.begun, key=lambda row: row.begun_s):
        if row.begun_s <= blow.at_s:
            last[row.job] = row
    return [row for job, row in last.items() if row.pid == blow.pid and job not in done]


def begun_again(attempts: Iterable[Begun], blow: Blow, rows: Rows) -> list[tuple[Begun, Begun | None]]:
    """Return each attempt with the next one at its job that another process began after the blow; None: none did."""
    later: dict[str, Begun] = {}
    for row in sorted(rows.begun, key=lambda row: row.begun_s):
        if row.pid != blow.pid and row.begun_s > blow.at_s:
            later.setdefault(row.job, row)
    return [(row, later.get(row.job)) for row in attempts]


def unseen(before: Begun, after: Begun, blow: Blow, blows: Iterable[Blow]) -> int:
    """Return how many workers claimed a job between two attempts and were hit before they could say that it began.

    A system that numbers attempts tells: it counted one more for each.
    """
    hit = sum(blow.at_s < other.at_s < after.begun_s for other in blows)
    return max(0, min(after.attempt - before.attempt - 1, hit))


def first_begun(rows: Rows) -> dict[str, Begun]:
    """Return the attempt that began first, of each job."""
    first: dict[str, Begun] = {}
    for row in sorted(rows.begun, key=lambda row: row.begun_s):
        first.setdefault(row.job, row)
    return first


def first_after_s(moment_s: float, rows: Rows) -> float | None:
    """Return how long after a moment the next attempt began; None: no more did."""
    return min((row.begun_s - moment_s for row in rows.begun if row.begun_s > moment_s), default=None)
