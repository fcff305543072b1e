"""Times and durations, exact to the microsecond, and refused beyond it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from entresol.codegen.protos import compile_protos
from entresol.errors import InvalidArgumentError
from entresol.schema.load import load
from entresol.schema.model import Resource
from entresol.storage.row_values import (
    from_datetime,
    from_json,
    from_timedelta,
    in_json,
    short,
    to_datetime,
    to_timedelta,
)


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


TESTS = Path(__file__).resolve().parents[2]
PROTOS = (TESTS / "unit" / "schema" / "kinds", TESTS / "integration" / "service" / "protos")


@cache
def resources() -> list[Resource]:
    return [one for path in PROTOS for one in load(compile_protos(path)).resources.values()]


@pytest.mark.parametrize(
    "value",
    [None, {}, [], {"a": "b"}, {"a": "", "ß": "☃"}, {"a": None}, {"a": 1}, [{}], {"nested": {"a": []}}],
)
def test_a_plain_text_of_jsonb_is_read_as_any_other(value: Any) -> None:
    text = json.dumps(value)
    for resource in resources():
        for field in (one for one in resource.stored if in_json(one)):
            plain = short(field)(text)
            if plain is not None:
                at_length = resource.message_class()
                from_json({field.name: text}, at_length)
                assert resource.message_class(**{field.name: plain}) == at_length, field.name


def test_maps_of_texts_and_what_is_empty_take_no_walk_through_json() -> None:
    found = {field.name: short(field) for one in resources() for field in one.stored if in_json(field)}
    texts = [name for name, read in found.items() if read('{"a": "b"}') == {"a": "b"}]
    assert texts
    assert all(found[name]("{}") == {} for name in texts)
    assert [name for name, read in found.items() if read("[]") == []]
    assert [name for name, read in found.items() if read("{}") is None]
