"""When schedules tick: both days on which clocks change, zones of half an hour, intervals, and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_every_half_hour_is_never_skipped(day: str) -> None:
    begin = datetime.fromisoformat(f"{day}T00:00+00:00")
    found = ticks(
        "*/30 * * * *", "Europe/London", begin.isoformat(), (begin + timedelta(hours=6)).isoformat()
    )
    assert len(found) == 12


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
