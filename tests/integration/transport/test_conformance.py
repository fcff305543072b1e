"""What every transport must do alike, as grpcio's own clients see it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.integration.transport.conftest import Wire, path
from tests.integration.transport.wire import ECHO, ECHO_BINARY, LEAD, LEAD_BINARY, SERVICE, Parcel

from entresol.errors import Code

MANY = 5_000  # more than one connection of http2 carries
SERVING = health_pb2.HealthCheckResponse.SERVING
TIMEOUT_S = 20.0


def unary(channel: grpc.Channel, name: str = "Carry") -> Any:
    return channel.unary_unary(path(name), Parcel.SerializeToString, Parcel.FromString)


def streamed(channel: grpc.Channel, name: str = "Repeat") -> Any:
    return channel.unary_stream(path(name), Parcel.SerializeToString, Parcel.FromString)


def collected(channel: grpc.Channel) -> Any:
    return channel.stream_unary(path("Collect"), Parcel.SerializeToString, Parcel.FromString)


def relayed(channel: grpc.Channel) -> Any:
    return channel.stream_stream(path("Relay"), Parcel.SerializeToString, Parcel.FromString)


def status_of(error: Any) -> status_pb2.Status:
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    return status_pb2.Status.FromString(details)


def eventually(what: Any, timeout_s: float = 5.0) -> None:
    until = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("size", [0, 1, 1000, 16_384, 65_535, 65_536, 1_000_000])
def test_a_message_of_any_size_comes_back(channel: grpc.Channel, size: int) -> None:
    payload = bytes(itertools.islice(itertools.cycle(range(251)), size))
    assert unary(channel)(Parcel(payload=payload), timeout=TIMEOUT_S).payload == payload


def test_metadata_goes_there_and_back_text_and_binary(channel: grpc.Channel) -> None:
    binary = bytes(range(256))
    metadata = ((ECHO, "one"), (ECHO, "two"), (ECHO_BINARY, binary))
    _, call = unary(channel).with_call(Parcel(), timeout=TIMEOUT_S, metadata=metadata)
    trailing = dict(call.trailing_metadata())
    assert trailing[ECHO] == "one,two"
    assert trailing[ECHO_BINARY] == binary


@pytest.mark.parametrize("code", [0, int(Code.ABORTED)])
def test_what_a_call_says_first_comes_before_the_reply_and_before_an_error(
    channel: grpc.Channel, code: int
) -> None:
    binary = bytes(range(256))
    asked = {"timeout": TIMEOUT_S, "metadata": ((LEAD, "one"), (LEAD_BINARY, binary), (ECHO, "last"))}
    wish = Parcel(count=1, code=code)
    calls = (
        unary(channel).future(wish, **asked),
        streamed(channel)(wish, **asked),
        collected(channel).future(iter([wish]), **asked),
        relayed(channel)(iter([wish]), **asked),
    )
    for call, is_stream in zip(calls, (False, True) * 2, strict=True):
        leading = dict(call.initial_metadata())
        assert (leading[LEAD], leading[LEAD_BINARY]) == ("one", binary)
        if is_stream:
            with contextlib.suppress(grpc.RpcError):
                list(call)
        trailing = dict(call.trailing_metadata())
        assert (trailing[ECHO], LEAD in trailing, LEAD_BINARY in trailing) == ("last", False, False)
        assert call.code().value[0] == code


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_an_error_arrives_with_its_code_and_text(channel: grpc.Channel, code: Code) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel)(Parcel(code=code), timeout=TIMEOUT_S)
    error: Any = caught.value
    assert error.code().value[0] == code
    assert error.details() == "as you wished: 100 %\n§"
    assert status_of(error).code == code


def test_a_method_that_is_not_there_has_an_error_info(channel: grpc.Channel) -> None:
    for name in (path("Missing"), "/no.Service/Method", "/", "/one"):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(name)(b"", timeout=TIMEOUT_S)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        info = error_details_pb2.ErrorInfo()
        assert status_of(error).details[0].Unpack(info)
        assert info.metadata["method"] == name


def test_a_stream_of_replies_comes_in_order_and_ends(channel: grpc.Channel) -> None:
    replies = streamed(channel)(Parcel(count=200, payload=b"x"), timeout=TIMEOUT_S)
    assert [reply.payload for reply in replies] == [b"x"] * 200
    assert list(streamed(channel)(Parcel(count=0), timeout=TIMEOUT_S)) == []


def test_a_stream_may_fail_after_its_first_replies(channel: grpc.Channel) -> None:
    replies = streamed(channel)(Parcel(count=3, code=Code.ABORTED), timeout=TIMEOUT_S)
    assert next(replies) == next(replies) == Parcel()
    with pytest.raises(grpc.RpcError) as caught:
        next(replies)
    assert status_of(caught.value).code == Code.ABORTED


def test_replies_come_while_the_stream_goes_on(channel: grpc.Channel) -> None:
    started = time.monotonic()
    replies = streamed(channel)(Parcel(count=2, pause_s=0.5, payload=b"x"), timeout=TIMEOUT_S)
    next(replies)
    first_s = time.monotonic() - started
    next(replies)
    assert first_s + 0.4 < time.monotonic() - started


def test_more_than_a_window_waits_for_a_reader_that_is_slow(wire: Wire, channel: grpc.Channel) -> None:
    before = wire.ended["done"]
    replies = streamed(channel)(Parcel(count=100, size_bytes=500_000), timeout=TIMEOUT_S)
    next(replies)
    time.sleep(0.5)
    assert wire.ended["done"] - before < 80, "the server ran ahead of its reader"
    assert sum(len(reply.payload) for reply in replies) == 99 * 500_000


def test_a_stream_of_requests_is_one_reply(channel: grpc.Channel) -> None:
    parcels = (Parcel(payload=bytes([index % 256])) for index in range(1000))
    reply = collected(channel)(parcels, timeout=TIMEOUT_S)
    assert reply.payload == bytes(index % 256 for index in range(1000))
    assert collected(channel)(iter(()), timeout=TIMEOUT_S) == Parcel()


def test_requests_and_replies_may_take_turns(channel: grpc.Channel) -> None:
    answered = threading.Semaphore(1)

    def requests() -> Iterator[Any]:
        for index in range(50):
            assert answered.acquire(timeout=TIMEOUT_S)
            yield Parcel(payload=bytes([index]))

    seen = []
    for reply in relayed(channel)(requests(), timeout=TIMEOUT_S):
        seen.append(reply.payload)
        answered.release()
    assert seen == [bytes([index]) for index in range(50)]


def test_a_long_talk_is_carried_whole(channel: grpc.Channel) -> None:
    parcels = (Parcel(payload=bytes(10_000)) for _ in range(2000))
    replies = relayed(channel)(parcels, timeout=TIMEOUT_S)
    assert sum(len(reply.payload) for reply in replies) == 20_000_000


def test_a_deadline_ends_the_call_on_both_sides(wire: Wire, channel: grpc.Channel) -> None:
    before = wire.ended["cancelled"]
    for call in (unary(channel), lambda *args, **more: list(streamed(channel)(*args, **more))):
        with pytest.raises(grpc.RpcError) as caught:
            call(Parcel(pause_s=30, count=1), timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: wire.ended["cancelled"] - before == 2)


def test_a_cancelled_call_stops(wire: Wire, channel: grpc.Channel) -> None:
    before = wire.ended["cancelled"]
    calls = [unary(channel).future(Parcel(pause_s=30), timeout=TIMEOUT_S) for _ in range(10)]
    replies = streamed(channel)(Parcel(pause_s=30, count=1), timeout=TIMEOUT_S)
    time.sleep(0.3)
    for call in (*calls, replies):
        call.cancel()
    eventually(lambda: wire.ended["cancelled"] - before == 11)
    assert unary(channel)(Parcel(payload=b"x"), timeout=TIMEOUT_S).payload == b"x"


def test_calls_end_when_their_client_is_gone(wire: Wire) -> None:
    before = wire.ended["cancelled"]
    channel = grpc.insecure_channel(wire.address, options=[("grpc.use_local_subchannel_pool", 1)])
    calls = [unary(channel).future(Parcel(pause_s=30), timeout=TIMEOUT_S) for _ in range(5)]
    time.sleep(0.3)
    channel.close()
    eventually(lambda: wire.ended["cancelled"] - before == len(calls))


@pytest.mark.parametrize("compression", grpc.Compression)
def test_requests_may_be_compressed(channel: grpc.Channel, compression: grpc.Compression) -> None:
    payload = b"entresol " * 10_000
    reply = unary(channel)(Parcel(payload=payload), timeout=TIMEOUT_S, compression=compression)
    assert reply.payload == payload


@pytest.mark.parametrize("megabytes", [5, 17, 40])
def test_a_message_that_is_too_large_is_refused(channel: grpc.Channel, megabytes: int) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unary(channel)(Parcel(payload=bytes(megabytes * 1024 * 1024)), timeout=TIMEOUT_S)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    if megabytes < 16:  # more is refused by grpcio itself, which tells no details
        (info,) = status_of(error).details
        assert info.Is(error_details_pb2.ErrorInfo.DESCRIPTOR), "trying again would not help"
        assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "-1"
    assert unary(channel)(Parcel(payload=b"x"), timeout=TIMEOUT_S).payload == b"x"


def test_bytes_that_are_no_message_are_refused(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path("Carry"))(b"\xff\xff", timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_thousands_of_calls_over_one_channel(channel: grpc.Channel) -> None:
    call = unary(channel)

    def one(index: int) -> bool:
        payload = index.to_bytes(4)
        return bool(call(Parcel(payload=payload), timeout=TIMEOUT_S).payload == payload)

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(one, range(MANY)))


async def test_thousands_of_calls_at_once_from_an_asynchronous_client(wire: Wire) -> None:
    async with grpc.aio.insecure_channel(wire.address) as channel:
        call = channel.unary_unary(path("Carry"), Parcel.SerializeToString, Parcel.FromString)
        room = asyncio.Semaphore(300)

        async def one(index: int) -> bool:
            async with room:
                reply = await call(Parcel(payload=index.to_bytes(4)), timeout=TIMEOUT_S)
                return bool(reply.payload == index.to_bytes(4))

        assert all(await asyncio.gather(*(one(index) for index in range(3000))))


async def test_an_asynchronous_client_may_cancel_many(wire: Wire) -> None:
    async with grpc.aio.insecure_channel(wire.address) as channel:
        call = channel.unary_unary(path("Carry"), Parcel.SerializeToString, Parcel.FromString)
        for _ in range(8):
            calls = [call(Parcel(pause_s=30), timeout=TIMEOUT_S) for _ in range(50)]
            await asyncio.sleep(0.1)
            for one in calls:
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            reply = await call(Parcel(payload=b"x"), timeout=TIMEOUT_S)
            assert reply.payload == b"x"
    eventually(lambda: wire.calls == 0)


def test_health_is_checked_and_watched(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE, "liveness"):
        request = health_pb2.HealthCheckRequest(service=service)
        assert stub.Check(request, timeout=TIMEOUT_S).status == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="none"), timeout=TIMEOUT_S)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    assert next(watching).status == SERVING
    watching.cancel()


def test_reflection_names_the_services_and_describes_them(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    listed, described = stub.ServerReflectionInfo(iter(requests), timeout=TIMEOUT_S)
    names = {service.name for service in listed.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health", "grpc.channelz.v1.Channelz"} <= names
    assert described.file_descriptor_response.file_descriptor_proto


def test_reflection_finds_methods_and_fields_as_symbols(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    symbols = (SERVICE, f"{SERVICE}.Carry", "wire.v1.Parcel.payload", f"{SERVICE}.Missing", "missing", "")
    requests = (reflection_pb2.ServerReflectionRequest(file_containing_symbol=one) for one in symbols)
    service, method, field, *missing = stub.ServerReflectionInfo(requests, timeout=TIMEOUT_S)
    assert service.file_descriptor_response.file_descriptor_proto
    assert method.file_descriptor_response == service.file_descriptor_response
    assert field.file_descriptor_response == service.file_descriptor_response
    assert [one.error_response.error_code for one in missing] == [grpc.StatusCode.NOT_FOUND.value[0]] * 3


def test_reflection_describes_the_details_of_errors(channel: grpc.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="google.rpc.ErrorInfo")
    (found,) = stub.ServerReflectionInfo(iter([request]), timeout=TIMEOUT_S)
    assert found.file_descriptor_response.file_descriptor_proto
