"""What a batch is: rows to read, what is made of them, and the records that the result becomes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from entresol.errors import InvalidArgumentError

Row = Mapping[str, Any]
MapFunction = Callable[[Row], Iterable[tuple[Any, Any]]]
ReduceFunction = Callable[[Any, list[Any]], Row]

WHOLE = "all"  # the key of batches without a window


@dataclass(frozen=True, slots=True)
class Run:
    """One run's rows: those of the window from `start_time` to before `end_time`, or all where there is no window."""

    key: str
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as code declares it; `service.registry.Registry.batch` tells of each part. `place` is where."""

    name: str
    method: str
    source: str
    result: str
    map: str | MapFunction
    reduce: str | ReduceFunction
    window: str
    days: int
    zone: str
    scope: str
    columns: tuple[str, ...]
    where: str
    engine: str
    place: tuple[str, int]

    @property
    def is_text(self) -> bool:
        """Whether map and reduce are SQL; else they are functions."""
        return isinstance(self.map, str) and isinstance(self.reduce, str)

    def run_of(self, key: str, moment: datetime) -> Run:
        """Return the run of a key; without one it is that of the last day that was over at `moment`.

        Raises:
            InvalidArgumentError: the key is no day, or the batch has no window.
        """
        if not self.window:
            if key not in ("", WHOLE):
                raise InvalidArgumentError.of("key", f"{self.name} has no window: leave the key out")
            return Run(WHOLE)
        zone = ZoneInfo(self.zone)
        try:
            day = date.fromisoformat(key) if key else moment.astimezone(zone).date() - timedelta(days=1)
        except ValueError as error:
            raise InvalidArgumentError.of("key", f"{key!r} is no day, such as 2026-01-31") from error
        start = datetime.combine(day - timedelta(days=self.days - 1), time(), zone)
        end = datetime.combine(day + timedelta(days=1), time(), zone)
        return Run(day.isoformat(), start.astimezone(UTC), end.astimezone(UTC))

    def parent_of(self, run: Run) -> str:
        """Return the parent whose records a run replaces; "" when it replaces all."""
        return self.scope.replace("{key}", run.key)
