"""When a schedule ticks: cron with a time zone, an interval, or once. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from entresol.errors import InvalidArgumentError

# The first tick behind a time; None when there is none.
Following = Callable[[datetime], datetime | None]

_EVERY = re.compile(r"every (\d+(?:\.\d+)?) ?(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INTERVAL_S_MIN = 0.1


def parse(
    text: str, zone: str = "UTC", start: datetime | None = None, end: datetime | None = None
) -> Following:
    """Return what tells the ticks of `text`: five fields of cron, `every 90s`, or `at 2026-01-31T09:30:00Z`.

    None is before `start` or behind `end`.

    Cron is of the zone's wall clock: where it jumps ahead, a time that is left out ticks as soon as it would have been;
    where it goes back, a daily time ticks once, and one every half hour each half hour. Intervals count from 1970.

    Raises:
        InvalidArgumentError: the text or the zone is none.
    """
    try:
        local = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidArgumentError.of("zone", f"there is no time zone {zone!r}") from error
    return _within(_unbounded(text, local), start, end)


def _unbounded(text: str, zone: ZoneInfo) -> Following:
    if found := _EVERY.fullmatch(text):
        return _every(float(found[1]) * _SECONDS[found[2]])
    if text.startswith("at "):
        return _at(text.removeprefix("at "), zone)
    return _cron(text, zone)


def _within(unbounded: Following, start: datetime | None, end: datetime | None) -> Following:
    before = start and start - timedelta(microseconds=1)

    def following(after: datetime) -> datetime | None:
        tick = unbounded(max(after, before) if before else after)
        return None if tick is None or (end and tick > end) else tick

    return following if start or end else unbounded


def _every(interval_s: float) -> Following:
    if interval_s < INTERVAL_S_MIN:
        raise InvalidArgumentError.of("timing", f"an interval is at least {INTERVAL_S_MIN} s")
    interval = timedelta(seconds=interval_s)

    def following(after: datetime) -> datetime:
        return _EPOCH + ((after - _EPOCH) // interval + 1) * interval

    return following


def _at(text: str, zone: ZoneInfo) -> Following:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgumentError.of(
            "timing", f"{text!r} is no time, such as 2026-01-31T09:30:00Z"
        ) from error
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    return lambda after: moment if moment > after else None


def _cron(text: str, zone: ZoneInfo) -> Following:
    try:
        CronSim(text, datetime.now(zone))
    except CronSimError as error:
        problem = f"{text!r} is neither five fields of cron ({error}), nor `every 90s`, nor `at` and a time"
        raise InvalidArgumentError.of("timing", problem) from error

    def following(after: datetime) -> datetime | None:
        # Cron knows whole minutes, and its iterator begins behind the one that it is given.
        try:
            return next(CronSim(text, after.astimezone(zone))).astimezone(UTC)
        except StopIteration:
            return None

    return following
