"""Copies of hot entries in the process itself: a hit costs no command, and is never older than `age_s_max` (rule R8).

The relay tells in a stream what it changed; `Tail` reads it and calls `hear`. Lines marked `# rule:` are those that
tests take out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from entresol import telemetry
from entresol.cache.entry import Entry
from entresol.cache.keys import Layout, Place
from entresol.clock import Clock
from entresol.config import Settings
from entresol.life import Facts
from entresol.positions import lsn_text

SLOTS = 1024  # of keys whose invalidations are counted together
OVERHEAD_BYTES = 500  # of a copy, beside key and message
SILENCE_TICKS = 5
SILENCE_S_MIN = 0.5


class Record(NamedTuple):
    """What one call of ADVANCE told: the keys of changed entries, and the watermark behind it.

    Records of a generation are numbered one by one.
    """

    generation: bytes
    number: int
    watermark: int
    changed: Sequence[bytes]


@dataclass(slots=True, eq=False)
class View:
    """What was heard of a partition without missing anything; copies belong to the view they were fetched in."""

    generation: bytes = b""
    number: int = 0
    watermark: int = 0
    heard_s: float = 0.0
    drops: list[int] = field(default_factory=lambda: [0] * SLOTS)


class Placeholder(NamedTuple):
    """How things stood before an entry was fetched: what the copy is judged by."""

    key: bytes
    view: View
    drops: int
    watermark: int
    began_s: float


@dataclass(slots=True, eq=False)
class _Copy:
    entry: Entry
    view: View
    began_s: float
    size_bytes: int
    changed: bool = False  # the relay has told of a newer content


class Near:
    """The copies of one process, at most `bytes_max` of them; the least recently used go first.

    Without a tail that hears of changes nothing is kept.
    """

    def __init__(
        self, layout: Layout, *, age_s_max: float, bytes_max: int, silence_s_max: float, clock: Clock
    ) -> None:
        self.layout = layout
        self.silence_s_max = silence_s_max
        self.size_bytes = 0
        self._place = layout.place
        self._age_s_max = age_s_max
        self._bytes_max = bytes_max
        self._clock = clock
        self._copies: OrderedDict[bytes, _Copy] = OrderedDict()
        self._views: list[View | None] = [None] * layout.partitions

    @classmethod
    def open(cls, settings: Settings, layout: Layout, *, clock: Clock | None = None) -> Near:
        """Return the near cache that the settings describe, empty."""
        return cls(
            layout,
            age_s_max=settings.near_age_max_s,
            bytes_max=settings.near_bytes_max,
            silence_s_max=max(SILENCE_TICKS * settings.relay_tick_s, SILENCE_S_MIN),
            clock=clock or Clock(),
        )

    def facts(self) -> Facts:
        """Return how much there is, and what was heard of each partition; None where nothing is heard."""
        now_s = self._clock.monotonic_s()
        heard = [None if view is None else _view_facts(view, now_s) for view in self._views]
        return {
            "copies": len(self._copies),
            "bytes": self.size_bytes,
            "bytes_max": self._bytes_max,
            "partitions": heard,
        }

    def get(self, table: str, name: str) -> Entry | None:
        """Return the copy, if there is one that may be shown.

        It reflects every change that was heard of, so its `watermark` is at least the one that was heard last.
        """
        copy = self._find(self._place(table, name), self._clock.monotonic_s())
        if copy is None or copy.changed:
            return None
        if copy.entry.watermark < copy.view.watermark:
            copy.entry = copy.entry._replace(watermark=copy.view.watermark)
        return copy.entry

    def get_all(self, table: str, names: Sequence[str]) -> list[Entry | None]:
        """Return the copy of each record; None of one that may not be shown.

        The watermark of each, which nobody asks for here, is as it was fetched.
        """
        place, find, now_s = self._place, self._find, self._clock.monotonic_s()
        copies = [find(place(table, name), now_s) for name in names]
        return [None if copy is None or copy.changed else copy.entry for copy in copies]

    def outdated(self, table: str, name: str) -> Entry | None:
        """Return the copy of a record that has changed since: for who may be shown it while it is read again.

        It is no older than `age_s_max` more than the relay was behind, as any copy.
        """
        copy = self._find(self._place(table, name), self._clock.monotonic_s())
        return copy.entry if copy is not None and copy.changed else None

    def _find(self, place: Place, now_s: float) -> _Copy | None:
        """Return the copy of a place, changed or not; forget it if its time or its view has ended.

        In silence it is kept, and may be shown again once something is heard.
        """
        copy = self._copies.get(place.entry)
        if copy is None:
            return None
        view = copy.view
        if now_s - view.heard_s > self.silence_s_max:
            return None  # rule: silence
        if now_s - copy.began_s > self._age_s_max:
            copy = None  # rule: age
        elif view is not self._views[place.partition]:
            copy = None  # rule: view
        if copy is None:
            self._forget(place.entry)
        else:
            self._copies.move_to_end(place.entry)
        return copy

    def begin(self, table: str, names: Sequence[str]) -> list[Placeholder | None]:
        """Return what `keep` judges by. Call it before the command that fetches the entries is sent."""
        now_s = self._clock.monotonic_s()
        placeholders: list[Placeholder | None] = []
        for name in names:
            place = self._place(table, name)
            view, key = self._view(place, now_s), place.entry
            if view is None:
                placeholders.append(None)
            else:
                drops = view.drops[hash(key) % SLOTS]
                placeholders.append(Placeholder(key, view, drops, view.watermark, now_s))
        return placeholders

    def keep(self, placeholders: Sequence[Placeholder | None], entries: Sequence[Entry | None]) -> None:
        """Keep the entries that were fetched, but for those that something came in between of."""
        for placeholder, entry in zip(placeholders, entries, strict=True):
            if placeholder is not None and entry is not None:
                self._keep(placeholder, entry)
        while self.size_bytes > self._bytes_max:
            self._forget(next(iter(self._copies)))

    def drop(self, table: str, names: Sequence[str]) -> None:
        """Forget copies: this process has written the records, or found that something else is there."""
        for name in names:
            place = self._place(table, name)
            self._drop(self._views[place.partition], place.entry)  # rule: own

    def hear(self, partition: int, record: Record) -> None:
        """Take in the partition's next record: forget what it changed, and everything if one before it was missed.

        A new generation, and a failover that lost records, are missed records too: the number is not the next.
        """
        view = self._views[partition]
        if view is not None and (record.generation, record.number) != (view.generation, view.number + 1):
            telemetry.CACHE_FAILURES.add(1, {telemetry.REASON: "gap"})
            view = None  # rule: number
        if view is None:
            view = self._views[partition] = View()
        view.generation, view.number, view.watermark, _ = record
        view.heard_s = self._clock.monotonic_s()
        for key in record.changed:
            view.drops[hash(key) % SLOTS] += 1
            copy = self._copies.get(key)
            if copy is not None:
                copy.changed = True

    def lose(self) -> None:
        """Forget everything: nothing is heard any more, until a first record begins anew."""
        self._views = [None] * len(self._views)  # rule: lost

    def _view(self, place: Place, now_s: float) -> View | None:
        """Return the partition's view, unless it has been silent for too long."""
        view = self._views[place.partition]
        if view is not None and now_s - view.heard_s > self.silence_s_max:
            return None  # rule: silence
        return view

    def _keep(self, placeholder: Placeholder, entry: Entry) -> None:
        key, view, drops, watermark, began_s = placeholder
        if view.drops[hash(key) % SLOTS] != drops:
            return  # rule: placeholder
        if entry.watermark < watermark:
            return  # rule: watermark
        known = self._copies.get(key)
        if known is not None and not known.changed and known.view is view and _is_older(entry, known.entry):
            return  # rule: newer
        self._forget(key)
        size_bytes = len(key) + len(entry.message) + OVERHEAD_BYTES
        if size_bytes <= self._bytes_max:
            self._copies[key] = _Copy(entry, view, began_s, size_bytes)
            self.size_bytes += size_bytes

    def _drop(self, view: View | None, key: bytes) -> None:
        if view is not None:
            view.drops[hash(key) % SLOTS] += 1
        self._forget(key)

    def _forget(self, key: bytes) -> None:
        copy = self._copies.pop(key, None)
        if copy is not None:
            self.size_bytes -= copy.size_bytes


def _view_facts(view: View, now_s: float) -> Facts:
    return {
        "generation": view.generation.decode(errors="replace"),
        "watermark": lsn_text(view.watermark),
        "heard_s_ago": round(now_s - view.heard_s, 3),
    }


def _is_older(entry: Entry, known: Entry) -> bool:
    """Tell whether `entry` is an earlier version; what has no known version cannot be told, and came later."""
    return bool(entry.version) and (entry.version, entry.rank) < (known.version, known.rank)
