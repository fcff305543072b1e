"""What the links do for streams: they are counted, bounded, measured and told apart from calls, from first to last."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from tests.integration.transport.conftest import TRANSPORTS, path, wire_settings
from tests.integration.transport.wire import SERVICE, Parcel, registry

from entresol.service.links import trace
from entresol.service.registry import Context, Registry
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database

TIMEOUT_S = 20.0
DEFAULT_S = 0.3
AT_ONCE = 2


def functions() -> Registry:
    """Return those of the wire, but a stream that tells, for each reply, how long it may work on the next."""
    found = registry(Counter())

    async def repeat(request: Any, context: Context) -> AsyncIterator[Any]:
        for _ in range(request.count):
            yield Parcel(pause_s=context.remaining_s())
            await asyncio.sleep(request.pause_s)

    found.functions[f"{SERVICE}.Repeat"] = repeat
    return found


@pytest.fixture(scope="module", params=TRANSPORTS)
def stub(request: pytest.FixtureRequest, wire_database: Database) -> Iterator[Any]:
    settings = wire_settings(
        wire_database, request.param, deadline_default_s=DEFAULT_S, concurrency_max=AT_ONCE
    )
    with (
        RunningPlatform(settings, functions=functions()) as running,
        grpc.insecure_channel(running.address) as channel,
    ):
        yield channel.unary_stream(
            path("Repeat"),
            request_serializer=Parcel.SerializeToString,
            response_deserializer=Parcel.FromString,
        )


def test_a_stream_without_a_deadline_outlives_the_default_and_its_work_does_not(stub: Any) -> None:
    left_s = [reply.pause_s for reply in stub(Parcel(count=3, pause_s=DEFAULT_S))]
    assert len(left_s) == 3
    assert left_s == pytest.approx([DEFAULT_S] * 3)


def test_a_stream_ends_at_its_callers_deadline(stub: Any) -> None:
    begun_s = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        list(stub(Parcel(count=100, pause_s=0.05), timeout=0.5))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun_s < 2


def test_streams_count_as_calls_as_long_as_they_last(stub: Any) -> None:
    carried = [stub(Parcel(count=1000, pause_s=0.05), timeout=TIMEOUT_S) for _ in range(AT_ONCE)]
    for stream in carried:
        next(stream)
    with pytest.raises(grpc.RpcError) as caught:
        list(stub(Parcel(count=1), timeout=TIMEOUT_S))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for stream in carried:
        stream.cancel()
    ends_s = time.monotonic() + TIMEOUT_S
    while True:  # the server hears of the end a moment later
        try:
            assert len(list(stub(Parcel(count=1), timeout=TIMEOUT_S))) == 1
            return
        except grpc.RpcError:
            assert time.monotonic() < ends_s
            time.sleep(0.05)


def test_a_stream_is_measured_from_its_first_to_its_last_reply(
    stub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, Any]] = []

    class Histogram:
        def record(self, value: float, attributes: Any, _context: Any = None) -> None:
            seen.append((value, attributes))

    monkeypatch.setattr(trace.telemetry, "CALL_DURATION", Histogram())
    list(stub(Parcel(count=2, pause_s=0.2), timeout=TIMEOUT_S))
    ends_s = time.monotonic() + TIMEOUT_S
    while not seen and time.monotonic() < ends_s:
        time.sleep(0.01)
    ((duration_s, attributes),) = seen
    assert duration_s > 0.3
    assert attributes[trace.telemetry.STATUS] == 0
