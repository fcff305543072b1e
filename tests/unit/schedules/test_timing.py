"""When schedules tick: both days on which clocks change, zones of half an hour, intervals, and once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from entresol.errors import InvalidArgumentError
from entresol.schedules.timing import parse


def ticks(text: str, zone: str, begin: str, end: str) -> list[str]:
    following, until = parse(text, zone), datetime.fromisoformat(end)
    found, tick = [], following(datetime.fromisoformat(begin))
    while tick is not None and tick <= until:
        found.append(f"{tick:%d %H:%M}")
        tick = following(tick)
    return found


def test_a_daily_time_ticks_once_on_the_day_that_has_it_twice() -> None:
    found = ticks("30 1 * * *", "Europe/London", "2026-10-24T12:00+00:00", "2026-10-26T12:00+00:00")
    assert found == ["25 00:30", "26 01:30"]


def test_a_daily_time_ticks_once_on_the_day_that_leaves_it_out() -> None:
    found = ticks("30 1 * * *", "Europe/London", "2026-03-28T12:00+00:00", "2026-03-30T12:00+00:00")
    assert found == ["29 01:00", "30 00:30"]


# Lord Howe's clocks change by half an hour: at 02:00 on 2026-10-04 to 02:30, and at 02:00 on 2026-04-05 to 01:30.
CHANGES = [
    ("Europe/London", "2026-03-29T00:00"),
    ("Europe/London", "2026-10-25T00:00"),
    ("Australia/Lord_Howe", "2026-10-03T12:00"),
    ("Australia/Lord_Howe", "2026-04-04T12:00"),
]


@pytest.mark.parametrize(("zone", "begin"), CHANGES)
def test_every_half_hour_is_never_skipped_and_comes_once(zone: str, begin: str) -> None:
    first = datetime.fromisoformat(f"{begin}+00:00")
    found = ticks("*/30 * * * *", zone, first.isoformat(), (first + timedelta(hours=24)).isoformat())
    assert found == [f"{first + timedelta(minutes=30 * (count + 1)):%d %H:%M}" for count in range(48)]


@pytest.mark.parametrize(("zone", "begin"), CHANGES)
@pytest.mark.parametrize("minute", range(0, 180, 15))
def test_a_daily_time_comes_once_a_day_whatever_the_clocks_do(zone: str, begin: str, minute: int) -> None:
    """Of each quarter of the hours in which clocks change, those that they leave out and those that they repeat."""
    middle = datetime.fromisoformat(f"{begin}+00:00").astimezone(ZoneInfo(zone)).date()
    following = parse(f"{minute % 60} {minute // 60} * * *", zone)
    days = Counter[date]()
    tick = following(
        datetime.combine(middle - timedelta(days=2), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    )
    while tick is not None and (day := tick.astimezone(ZoneInfo(zone)).date()) <= middle + timedelta(days=3):
        days[day] += 1
        tick = following(tick)
    assert set(days.values()) == {1}, days
    assert len(days) >= 5


def test_a_daily_time_that_half_an_hour_leaves_out_ticks_as_soon_as_it_would_have_been() -> None:
    found = ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00+00:00", "2026-10-05T00:00+00:00")
    assert found == ["02 15:45", "03 15:30", "04 15:15"]


def test_no_tick_is_before_the_start_or_behind_the_end() -> None:
    start, end = datetime(2026, 6, 1, 9, tzinfo=UTC), datetime(2026, 6, 1, 11, tzinfo=UTC)
    following = parse("0 * * * *", "UTC", start, end)
    found, tick = [], following(datetime(2026, 1, 1, tzinfo=UTC))
    while tick is not None:
        found.append(tick.hour)
        tick = following(tick)
    assert found == [9, 10, 11]
    assert following(start) == start + timedelta(hours=1)


def test_a_zone_of_half_an_hour_ticks_by_its_own_clock() -> None:
    found = ticks("0 9 * * *", "Asia/Kolkata", "2026-06-01T00:00+00:00", "2026-06-02T12:00+00:00")
    assert found == ["01 03:30", "02 03:30"]


def test_an_interval_counts_from_1970_whoever_asks() -> None:
    following = parse("every 90s")
    tick = following(datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert tick is not None
    assert tick.timestamp() % 90 == 0
    assert following(tick) == tick + timedelta(seconds=90)


def test_once_is_once() -> None:
    following = parse("at 2026-01-31T09:30:00", "Europe/Berlin")
    tick = following(datetime(2026, 1, 1, tzinfo=UTC))
    assert tick == datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
    assert following(tick) is None


@pytest.mark.parametrize(
    ("text", "zone", "field"),
    [("every 1ms", "UTC", "timing"), ("soon", "UTC", "timing"), ("61 * * * *", "UTC", "timing"),
     ("at noon", "UTC", "timing"), ("* * * * *", "Atlantis/Deep", "zone")],
)  # fmt: skip
def test_what_is_no_timing_is_told(text: str, zone: str, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse(text, zone)
    assert caught.value.violations[0].field == field
