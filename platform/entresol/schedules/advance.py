"""What becomes of the ticks of a schedule that is due: which begin, which are skipped and why, what is next. Pure."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from entresol.schedules.timing import parse
from entresol.storage.schedules import Due, Skip

TICKS_MAX = 100_000  # in one go; the next one goes on
LATE_S_MAX = 10.0  # of a tick that nobody missed


@dataclass(frozen=True, slots=True)
class Advance:
    """What becomes of a schedule. Of `held` ticks, at most one, the job waits for the run before it."""

    due: Due
    next_time: datetime | None
    begun: tuple[datetime, ...] = ()
    held: tuple[datetime, ...] = ()
    skipped: tuple[Skip, ...] = ()


def advance(due: Due) -> Advance:
    """Return what becomes of the ticks that have come.

    Where several have, nobody was there in time. Of the policy `latest` the newest begins; of `all` the newest up to
    `missed_max`, each; of `skip` the newest, if it came within the last seconds, else none.
    """
    ticks, next_time = _ticks(due)
    if due.is_paused:
        return Advance(due, next_time, skipped=_skip(due, ticks, "paused"))
    wanted = _wanted(due, ticks)
    missed = _skip(due, ticks[: len(ticks) - len(wanted)], "missed")
    if due.overlap in ("allow", "cancel"):
        return Advance(due, next_time, begun=tuple(wanted), skipped=missed)
    # One that is held is the next to begin, also when the run before it has just ended.
    begun = wanted[:0] if due.is_running or due.is_held else wanted[:1]
    rest = wanted[len(begun) :]
    held = rest[:1] if due.overlap == "queue" and not due.is_held else []
    overlapping = _skip(due, rest[len(held) :], "overlap")
    return Advance(due, next_time, tuple(begun), tuple(held), missed + overlapping)


def job_of(schedule: str, tick: datetime) -> uuid.UUID:
    """Return the id of the job of one tick, the same whoever puts it in, which begins with the tick's time."""
    digest = hashlib.sha256(f"{schedule}\0{tick.isoformat()}".encode()).digest()
    chance = int.from_bytes(digest[:10])
    millis = int(tick.timestamp() * 1000)
    return uuid.UUID(int=millis << 80 | 7 << 76 | (chance & (2**76 - 1) & ~(3 << 62)) | 2 << 62)


def jitter_s(schedule: str, tick: datetime, longest_s: float) -> float:
    """Return how long the job of a tick waits, the same whoever asks."""
    return (job_of(schedule, tick).int % 1_000_003) / 1_000_003 * longest_s


def _ticks(due: Due) -> tuple[list[datetime], datetime | None]:
    following = parse(due.timing, due.zone, due.start_time, due.end_time)
    ticks: list[datetime] = []
    tick: datetime | None = due.next_time
    while tick is not None and tick <= due.now and len(ticks) < TICKS_MAX:
        ticks.append(tick)
        tick = following(tick)
    return ticks, tick


def _wanted(due: Due, ticks: Sequence[datetime]) -> list[datetime]:
    """Return the ticks that are to begin as far as it is for the policy of missed ones."""
    if due.missed == "all":
        return list(ticks[-due.missed_max :])
    age_s = (due.now - ticks[-1]).total_seconds()
    return [] if due.missed == "skip" and age_s > LATE_S_MAX else list(ticks[-1:])


def _skip(due: Due, ticks: Sequence[datetime], reason: str) -> tuple[Skip, ...]:
    return (Skip(due.name, ticks[0], ticks[-1], len(ticks), reason),) if ticks else ()
