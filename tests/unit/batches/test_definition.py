"""Which rows a run of a batch reads, and whose records it replaces."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from entresol.batches.definition import WHOLE, Batch
from entresol.errors import InvalidArgumentError


def batch(**changes: Any) -> Batch:
    values: dict[str, Any] = {
        "name": "counts", "method": "", "source": "", "result": "", "map": "", "reduce": "", "window": "create_time",
        "days": 1, "zone": "UTC", "scope": "days/{key}", "columns": (), "where": "", "engine": "auto", "place": ("", 1),
    }  # fmt: skip
    return Batch(**{**values, **changes})


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_a_run_without_a_key_is_of_the_last_day_that_is_over() -> None:
    run = batch().run_of("", at(2026, 3, 1, 0, 10))
    assert (run.key, run.start_time, run.end_time) == ("2026-02-28", at(2026, 2, 28), at(2026, 3, 1))
    assert batch().parent_of(run) == "days/2026-02-28"


def test_a_window_of_several_days_ends_with_the_key() -> None:
    run = batch(days=7).run_of("2026-01-31", at(2030, 1, 1))
    assert (run.start_time, run.end_time) == (at(2026, 1, 25), at(2026, 2, 1))


@pytest.mark.parametrize(("key", "hours"), [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_is_as_long_as_it_is_in_its_zone(key: str, hours: int) -> None:
    run = batch(zone="Europe/London").run_of(key, at(2030, 1, 1))
    assert run.start_time is not None
    assert run.end_time is not None
    assert (run.end_time - run.start_time).total_seconds() == hours * 3600


def test_the_last_day_is_that_of_the_zone() -> None:
    moment = at(2026, 1, 31, 23, 30)
    assert batch().run_of("", moment).key == "2026-01-30"
    assert batch(zone="Asia/Tokyo").run_of("", moment).key == "2026-01-31"


def test_without_a_window_everything_is_read_and_all_is_replaced() -> None:
    whole = batch(window="", scope="")
    run = whole.run_of("", at(2026, 1, 1))
    assert (run.key, run.start_time, run.end_time, whole.parent_of(run)) == (WHOLE, None, None, "")
    with pytest.raises(InvalidArgumentError, match="leave the key out"):
        whole.run_of("2026-01-01", at(2026, 1, 1))


def test_a_key_is_a_day() -> None:
    with pytest.raises(InvalidArgumentError, match="is no day"):
        batch().run_of("31.1.2026", at(2026, 1, 1))
