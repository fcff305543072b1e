"""Times and durations, exact to the microsecond, and refused beyond it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from entresol.errors import InvalidArgumentError
from entresol.storage.row_values import from_datetime, from_timedelta, to_datetime, to_timedelta


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_datetime_is_a_timestamp_and_back(value: datetime) -> None:
    seconds, nanos = from_datetime(value)
    assert 0 <= nanos < 1_000_000_000
    assert to_datetime(Timestamp(seconds=seconds, nanos=nanos), "field") == value


@given(st.timedeltas(min_value=timedelta(days=-3_652_500), max_value=timedelta(days=3_652_500)))
def test_a_timedelta_is_a_duration_of_one_sign_and_back(value: timedelta) -> None:
    seconds, nanos = from_timedelta(value)
    assert seconds * nanos >= 0
    assert abs(nanos) < 1_000_000_000
    assert to_timedelta(Duration(seconds=seconds, nanos=nanos), "field") == value


def test_infinity_which_the_driver_gives_without_a_zone_is_the_last_moment() -> None:
    assert from_datetime(datetime.max) == from_datetime(datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize("nanos", [1, 999, 1001, 999_999_999])
def test_what_is_finer_than_a_microsecond_is_refused(nanos: int) -> None:
    with pytest.raises(InvalidArgumentError, match="finer than a microsecond"):
        to_datetime(Timestamp(nanos=nanos), "field")
    with pytest.raises(InvalidArgumentError, match="finer than a microsecond"):
        to_timedelta(Duration(nanos=-nanos), "field")
