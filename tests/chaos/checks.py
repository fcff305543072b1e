"""What a history must not show, each as a function over operations; and how old what it shows was.

A value is known by the write that made it. One write is *surely before* another when it was answered before the other
began; nothing else of their order is assumed. So no check depends on clocks being exact or on who won a race.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import attrgetter

from tests.chaos.operation import Operation


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: its kind, where, and what was seen."""

    kind: str
    key: str
    text: str


class Writes:
    """The writes and deletes of one key."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.by_value = {one.value: one for one in operations if one.kind == "write"}
        self._deletes = sorted((one for one in operations if one.kind == "delete"), key=attrgetter("start_s"))
        answered = [one for one in operations if one.outcome == "ok"]
        by_end = sorted(answered, key=attrgetter("end_s"))
        self._ends = [one.end_s for one in by_end]
        self._latest_start = list(accumulate((one.start_s for one in by_end), max))
        by_start = sorted(answered, key=attrgetter("start_s"))
        self._starts = [one.start_s for one in by_start]
        self._first_end = list(accumulate((one.end_s for one in reversed(by_start)), min))[::-1]

    def settled_s(self, value: int | None, seen_s: float) -> float:
        """Return when the latest write that may have made what was seen at `seen_s` was surely done.

        Never (infinity) for one in doubt; always (minus infinity) for a record that nobody had made yet.
        """
        if value is not None:
            return _settled_s(self.by_value[value])
        deletes = [one for one in self._deletes if one.start_s <= seen_s and one.outcome != "failed"]
        return max(map(_settled_s, deletes), default=-math.inf)

    def begun_s(self, value: int | None) -> float:
        """Return when the earliest write that may have made this began."""
        return -math.inf if value is None else self.by_value[value].start_s

    def is_overwritten(self, settled_s: float, by_s: float) -> bool:
        """Tell whether a write that began after `settled_s` was answered before `by_s`."""
        count = bisect_left(self._ends, by_s)
        return count > 0 and self._latest_start[count - 1] > settled_s

    def age_s(self, settled_s: float, at_s: float) -> float:
        """Return for how long, at `at_s`, a newer write had been answered."""
        first = bisect_left(self._starts, math.nextafter(settled_s, math.inf))
        return max(0.0, at_s - self._first_end[first]) if first < len(self._starts) else 0.0


def _settled_s(write: Operation) -> float:
    return write.end_s if write.outcome == "ok" else math.inf


class History:
    """A history, sorted and looked up."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = sorted(operations, key=attrgetter("start_s"))
        changes: dict[str, list[Operation]] = defaultdict(list)
        for one in self.operations:
            if one.kind != "read":
                changes[one.key].append(one)
        self._writes = {key: Writes(found) for key, found in changes.items()}
        self._none = Writes(())

    def writes(self, key: str) -> Writes:
        """Return what was written to a key."""
        return self._writes.get(key, self._none)

    def reads(self, *levels: str) -> Iterable[Operation]:
        """Return the answered reads at these levels, all of them without levels, by their start."""
        for one in self.operations:
            if one.kind == "read" and one.outcome == "ok" and (not levels or one.level in levels):
                yield one


def invented(history: History) -> Iterable[Violation]:
    """Find values that nobody wrote, or whose writer was told that nothing had been changed."""
    for read in history.reads():
        if read.value is None:
            continue
        write = history.writes(read.key).by_value.get(read.value)
        if write is None or write.outcome == "failed":
            said = "nobody wrote it" if write is None else "its write was refused"
            yield Violation("invented", read.key, f"{read.session} read {read.value}: {said}")


def session_order(history: History) -> Iterable[Violation]:
    """Find SESSION reads that miss a write of their session, or are older than an earlier read of it."""
    wrote: dict[tuple[str, str], float] = {}  # session and key: when its newest write began
    saw: dict[tuple[str, str], float] = {}  # the same of the newest value that it read
    events = sorted(
        (one for one in history.operations if one.outcome == "ok" and one.level == "SESSION"),
        key=attrgetter("end_s"),
    )
    for one in events:  # a session does one thing at a time, so that ends are in its order
        place, writes = (one.session, one.key), history.writes(one.key)
        if one.kind != "read":
            wrote[place] = max(wrote.get(place, -math.inf), one.start_s)
            continue
        if one.value is not None and one.value not in writes.by_value:
            continue  # invented
        settled_s = writes.settled_s(one.value, one.end_s)
        text = f"{one.session} read {one.value} from {one.answered_by} at {one.start_s:.3f}"
        if settled_s < wrote.get(place, -math.inf):
            yield Violation("own write missed", one.key, text)
        elif settled_s < saw.get(place, -math.inf):
            yield Violation("read went back", one.key, text)
        saw[place] = max(saw.get(place, -math.inf), writes.begun_s(one.value))


def strong(history: History) -> Iterable[Violation]:
    """Find STRONG reads that are older than a write that was answered before they began."""
    for read, settled_s in _with_settled(history, "STRONG"):
        if history.writes(read.key).is_overwritten(settled_s, read.start_s):
            text = f"{read.session} read {read.value} from {read.answered_by} at {read.start_s:.3f}"
            yield Violation("strong read old", read.key, text)


def lost(history: History, rows: Mapping[str, int | None], end_s: float) -> Iterable[Violation]:
    """Find keys whose row at the end is not the last that was answered, or was refused or never written."""
    for key, value in rows.items():
        writes = history.writes(key)
        write = writes.by_value.get(value) if value is not None else None
        if value is not None and (write is None or write.outcome == "failed"):
            yield Violation("invented", key, f"the row has {value}")
        elif writes.is_overwritten(writes.settled_s(value, end_s), end_s):
            yield Violation("acknowledged write lost", key, f"the row has {value}")


def stale_for_good(seen: Iterable[Operation], rows: Mapping[str, int | None]) -> Iterable[Violation]:
    """Find what a server still answers when all is quiet, and is not the row."""
    for read in seen:
        if read.outcome != "ok":
            yield Violation("no answer in the end", read.key, f"{read.session} was refused")
        elif read.value != rows[read.key]:
            text = f"{read.session} reads {read.value} from {read.answered_by}, the row is {rows[read.key]}"
            yield Violation("stale for good", read.key, text)


def ages_s(history: History, level: str, source: str) -> list[float]:
    """Return how old each answer from `source` was: 0 when nothing newer had been answered before it was asked for."""
    return [
        history.writes(read.key).age_s(settled_s, read.start_s)
        for read, settled_s in _with_settled(history, level)
        if read.answered_by == source
    ]


def without(operations: Iterable[Operation], start_s: float, end_s: float) -> list[Operation]:
    """Return a history whose past before `start_s` may be lost: a promotion that ended at `end_s` documents that.

    What began before `end_s` is in doubt if it is a write, and gone if it is a read; sessions begin anew.
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


def _with_settled(history: History, *levels: str) -> Iterable[tuple[Operation, float]]:
    for read in history.reads(*levels):
        writes = history.writes(read.key)
        if read.value is None or read.value in writes.by_value:
            yield read, writes.settled_s(read.value, read.end_s)
