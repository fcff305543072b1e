"""Peers that break the rules, or keep to them and mean harm: each costs the server a bounded time and memory."""

from __future__ import annotations

import gc
import gzip
import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from tests.integration.transport import peer as h2
from tests.integration.transport.conftest import Wire, path, wire_settings
from tests.integration.transport.peer import Peer, call, frame
from tests.integration.transport.wire import Parcel, registry

from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database
from entresol.transport.http2.stream import Stream

CARRY = path("Carry")
SMALL = Parcel(payload=b"x").SerializeToString()


@pytest.fixture(scope="module")
def server(wire_database: Database) -> Iterator[Wire]:
    """Give a server with little patience."""
    ended: Counter[str] = Counter()
    settings = wire_settings(
        wire_database,
        "http2",
        keepalive_s=1.0,
        keepalive_timeout_s=1.0,
        stall_max_s=1.5,
        deadline_default_s=1.0,
        deadline_max_s=3.0,
    )
    with RunningPlatform(settings, functions=registry(ended)) as running:
        yield Wire("http2", running, ended)


@pytest.fixture(autouse=True)
def still_serves(server: Wire) -> Iterator[None]:
    """After each of them a proper client is served as before."""
    yield
    with grpc.insecure_channel(server.address) as channel:
        reply = channel.unary_unary(CARRY)(SMALL, timeout=5)
    assert Parcel.FromString(reply).payload == b"x"


@contextmanager
def growth() -> Iterator[list[int]]:
    """Give the bytes by which the process grew in the block."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown: list[int] = []
    yield grown
    grown.append((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


def status(frames: Iterator[h2.Frame]) -> h2.Frame:
    return next(item for item in frames if item.kind == h2.HEADERS and item.flags & h2.END_STREAM)


def test_a_proper_call_by_hand_is_answered(server: Wire) -> None:
    with Peer(server.address).greet() as peer:
        peer.call(1, CARRY, SMALL)
        kinds = []
        for item in peer.frames():
            kinds.append((item.kind, item.flags & h2.END_STREAM))
            if item.kind == h2.HEADERS and item.flags & h2.END_STREAM:
                break
    assert kinds[-3:] == [(h2.HEADERS, 0), (h2.DATA, 0), (h2.HEADERS, h2.END_STREAM)]


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01" * 50, h2.PREFACE + b"\xff" * 64]
)
def test_what_is_not_http2_is_closed(server: Wire, garbage: bytes) -> None:
    with Peer(server.address) as peer:
        peer.write(garbage)
        assert peer.is_closed()


def test_who_says_nothing_is_closed(server: Wire) -> None:
    with Peer(server.address) as peer:
        assert peer.is_closed(6)


def test_who_does_not_answer_a_ping_is_closed(server: Wire) -> None:
    with Peer(server.address).greet() as peer:
        assert peer.until(h2.PING)
        assert peer.is_closed(6)


def test_who_answers_pings_stays(server: Wire) -> None:
    with Peer(server.address).greet() as peer:
        for _ in range(3):
            ping = next(item for item in peer.frames() if item.kind == h2.PING)
            peer.write(frame(h2.PING, h2.ACK, 0, ping.payload))
        peer.call(1, CARRY, SMALL)
        assert status(peer.frames())


def test_a_rapid_reset_ends_the_connection_and_the_calls(server: Wire) -> None:
    before = Counter(server.ended)
    slow = Parcel(pause_s=60).SerializeToString()
    with Peer(server.address).greet() as peer:
        try:
            for stream in range(1, 2001, 2):
                peer.write(call(stream, CARRY, slow) + frame(h2.RST_STREAM, 0, stream, h2.CANCEL.to_bytes(4)))
        except OSError:
            pass
        assert peer.is_closed()
    running = Counter(server.ended) - before
    assert running["cancelled"] <= 1000
    assert running["done"] == 0


@pytest.mark.parametrize("kind", [h2.PING, h2.SETTINGS])
def test_a_flood_of_control_frames_ends_the_connection(server: Wire, kind: int) -> None:
    flood = frame(kind, 0, 0, bytes(8) if kind == h2.PING else b"") * 2000
    with Peer(server.address).greet() as peer:
        try:
            for _ in range(20):
                peer.write(flood)
        except OSError:
            pass
        assert peer.is_closed()


def test_headers_without_end_are_refused(server: Wire) -> None:
    bomb = h2.block([(b"x%d" % number, bytes(b"y" * 4000)) for number in range(4)])
    with Peer(server.address).greet() as peer, growth() as grown:
        peer.write(frame(h2.HEADERS, 0, 1, h2.block(h2.request(CARRY))))
        try:
            for _ in range(10_000):
                peer.write(frame(h2.CONTINUATION, 0, 1, bomb))
        except OSError:
            pass
        assert peer.is_closed()
    assert grown[0] < 16 * 1024 * 1024


def test_small_fields_that_unpack_to_much_are_refused(server: Wire) -> None:
    # One field of 4,000 bytes in the dynamic table, then thousands of one-byte references to it (HPACK bomb).
    entry = b"\x40" + h2.text(b"bomb") + h2.text(b"z" * 3900)
    bomb = h2.block(h2.request(CARRY)) + entry + b"\xbe" * 12_000
    with Peer(server.address).greet() as peer, growth() as grown:
        peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, bomb))
        assert peer.is_closed()
    assert grown[0] < 16 * 1024 * 1024


def test_a_frame_above_the_agreed_size_ends_the_connection(server: Wire) -> None:
    with Peer(server.address).greet() as peer:
        peer.write(frame(h2.DATA, 0, 1, bytes(1_000_000)))
        assert peer.is_closed()


def test_a_request_that_never_ends_is_answered_at_its_deadline(server: Wire) -> None:
    with Peer(server.address).greet() as peer:
        peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(CARRY))))
        peer.write(frame(h2.DATA, 0, 1, b"\x00\x00\x00\x01\x00abc"))
        started = time.monotonic()
        assert status(peer.frames())
        assert time.monotonic() - started < 4


def test_who_never_reads_is_closed_and_costs_little(server: Wire) -> None:
    # Windows so large that nothing but the socket holds the server back.
    large = Parcel(size_bytes=3_000_000).SerializeToString()
    windows = [(4, h2.LAST_STREAM)]
    with growth() as grown, Peer(server.address).greet(windows) as peer:
        peer.write(frame(h2.WINDOW_UPDATE, 0, 0, (h2.LAST_STREAM - 65_535).to_bytes(4)))
        try:
            for stream in range(1, 4001, 2):
                peer.call(stream, CARRY, large)
        except OSError:
            pass
        assert peer.is_gone(10)
    assert grown[0] < 600 * 1024 * 1024


def test_who_opens_no_window_is_closed(server: Wire) -> None:
    large = Parcel(size_bytes=1_000_000).SerializeToString()
    with Peer(server.address).greet([(4, 0)]) as peer:
        peer.call(1, CARRY, large)
        assert peer.is_closed(6)


def test_who_opens_a_window_by_single_bytes_is_closed(server: Wire) -> None:
    large = Parcel(size_bytes=1_000_000).SerializeToString()
    with Peer(server.address).greet([(4, 0)]) as peer:
        peer.call(1, CARRY, large)
        one = (1).to_bytes(4)
        says = frame(h2.WINDOW_UPDATE, 0, 0, one) + frame(h2.WINDOW_UPDATE, 0, 1, one)
        assert peer.is_gone(8, says)


def test_a_talk_whose_reader_is_slower_than_its_writer_goes_on(server: Wire) -> None:
    """The window is opened behind more requests than the server would queue."""
    message = Parcel(payload=bytes(10_000)).SerializeToString()
    body = b"\x00" + len(message).to_bytes(4) + message
    with Peer(server.address).greet() as peer:
        peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(path("Relay")))))
        for _ in range(60):
            peer.write(frame(h2.DATA, 0, 1, body))
        peer.write(frame(h2.DATA, h2.END_STREAM, 1))
        for stream in (0, 1):
            peer.write(frame(h2.WINDOW_UPDATE, 0, stream, (1 << 24).to_bytes(4)))
        received = 0
        for item in peer.frames():
            received += len(item.payload) if item.kind == h2.DATA else 0
            if item.kind == h2.HEADERS and item.flags & h2.END_STREAM:
                break
    assert received == 60 * len(body)


def test_a_call_that_ends_as_it_begins_leaves_no_timer_of_years(server: Wire) -> None:
    years = [(b"grpc-timeout", b"99999999H")]
    with Peer(server.address).greet() as peer:
        head = frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(path("Relay"), years)))
        peer.write(
            head + frame(h2.DATA, 0, 1, b"\x07\x00\x00\x00\x00") + frame(h2.RST_STREAM, 0, 1, bytes(4))
        )
        peer.call(3, CARRY, SMALL)
        status(peer.frames())

    def over() -> list[Stream]:
        return [item for item in gc.get_objects() if isinstance(item, Stream) and item.is_over]

    until = time.monotonic() + 10
    while over():
        assert time.monotonic() < until, "nothing should hold a stream that is over"
        gc.collect()


def test_what_was_answered_before_the_request_ended_arrives_whole(server: Wire) -> None:
    message = Parcel(payload=bytes(100)).SerializeToString()
    failing = Parcel(code=5).SerializeToString()
    body = b"".join(b"\x00" + len(one).to_bytes(4) + one for one in (message, failing))
    with Peer(server.address).greet([(4, 10)]) as peer:
        peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(path("Relay")))))
        peer.write(frame(h2.DATA, 0, 1, body))
        time.sleep(0.5)
        peer.write(frame(h2.WINDOW_UPDATE, 0, 1, (1 << 20).to_bytes(4)))
        kinds = [item.kind for item in peer.frames(1) if item.stream == 1]
    assert kinds[-2:] == [h2.HEADERS, h2.RST_STREAM]


def test_a_stream_that_ends_within_a_message_is_refused(server: Wire) -> None:
    whole = b"\x00" + len(SMALL).to_bytes(4) + SMALL
    with Peer(server.address).greet() as peer:
        peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(path("Collect")))))
        peer.write(frame(h2.DATA, h2.END_STREAM, 1, whole + whole[:-1]))
        told = status(peer.frames()).payload
    assert b"middle of a message" in told


def test_a_call_of_one_request_brings_one_and_not_none_or_two(server: Wire) -> None:
    whole = b"\x00" + len(SMALL).to_bytes(4) + SMALL
    for method in (CARRY, path("Repeat")):
        for body in (b"", whole * 2):
            with Peer(server.address).greet() as peer:
                peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(method))))
                peer.write(frame(h2.DATA, h2.END_STREAM, 1, body))
                assert b"this method takes one" in status(peer.frames()).payload


@pytest.mark.parametrize("extra", [[], [(b"grpc-encoding", b"identity")]])
@pytest.mark.parametrize("method", [CARRY, path("Collect")])
def test_a_message_may_not_be_packed_where_nothing_says_how(
    server: Wire, method: str, extra: h2.Headers
) -> None:
    body = b"\x01" + len(SMALL).to_bytes(4) + SMALL
    with Peer(server.address).greet() as peer:
        peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(method, extra))))
        peer.write(frame(h2.DATA, h2.END_STREAM, 1, body))
        told = status(peer.frames()).payload
    assert b"a message has the flag 1" in told
    assert b"13" in told


def test_packed_requests_cost_what_they_weigh(server: Wire) -> None:
    packed = gzip.compress(Parcel(payload=bytes(16_000_000)).SerializeToString())
    body = b"\x01" + len(packed).to_bytes(4) + packed
    with growth() as grown, Peer(server.address).greet([(4, 0)]) as peer:
        for stream in range(1, 11, 2):
            head = h2.block(h2.request(path("Relay"), [(b"grpc-encoding", b"gzip")]))
            peer.write(frame(h2.HEADERS, h2.END_HEADERS, stream, head))
            for at in range(12):
                del at
                for piece in range(0, len(body), 16_000):
                    peer.write(frame(h2.DATA, 0, stream, body[piece : piece + 16_000]))
        time.sleep(1)
    assert grown[0] < 300 * 1024 * 1024


def test_who_is_told_to_leave_and_does_not_is_closed(server: Wire) -> None:
    with Peer(server.address).greet() as peer:
        slow = Parcel(pause_s=60).SerializeToString()
        for stream in range(1, 401, 2):
            peer.write(call(stream, CARRY, slow) + frame(h2.RST_STREAM, 0, stream, h2.CANCEL.to_bytes(4)))
        assert peer.until(h2.GOAWAY)
        assert peer.is_gone(10, frame(h2.WINDOW_UPDATE, 0, 0, (1).to_bytes(4)))


@pytest.mark.parametrize("kind", [b"application/grpc-web", b"application/grpcfoo", b"application/grpc+json"])
def test_what_is_nearly_grpc_is_not(server: Wire, kind: bytes) -> None:
    headers = [item for item in h2.request(CARRY) if item[0] != b"content-type"]
    with Peer(server.address).greet() as peer:
        block = h2.block([*headers, (b"content-type", kind)])
        peer.write(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, block))
        assert b"415" in status(peer.frames()).payload


def test_a_connection_ends_in_order_before_the_engine_would_end_it(server: Wire) -> None:
    """All calls that were sent before the last word are answered, and none is begun after it."""
    answered, last, told = 0, 0, 0
    with Peer(server.address).greet() as peer:
        sent = 0
        for stream in range(1, 9001, 2):
            try:
                peer.call(stream, CARRY, SMALL)
            except OSError:
                break
            sent = stream
            for item in peer.frames(2):
                if item.kind == h2.PING and not item.flags & h2.ACK:
                    peer.write(frame(h2.PING, h2.ACK, 0, item.payload))
                elif item.kind == h2.GOAWAY:
                    told, last = told + 1, int.from_bytes(item.payload[:4])
                elif item.kind == h2.DATA:
                    peer.write(frame(h2.WINDOW_UPDATE, 0, 0, max(1, len(item.payload)).to_bytes(4)))
                elif item.kind == h2.HEADERS and item.flags & h2.END_STREAM:
                    answered += 1
                    break
                elif item.kind == h2.RST_STREAM:
                    break
            else:
                break
        for item in peer.frames(1):
            if item.kind == h2.GOAWAY:
                told, last = told + 1, int.from_bytes(item.payload[:4])
        for _ in range(3):  # what still comes resets nothing, so that no answer on its way is lost
            peer.write(frame(h2.PING, 0, 0, b"too late"))
            time.sleep(0.05)
        assert list(peer.frames(0.2)) == []
    assert told == 2
    assert answered == (last + 1) // 2
    assert 2500 <= answered < 3900  # from where it is full to where the server takes no more
    assert sent >= last


@pytest.mark.parametrize(("method", "kind"), [(b"GET", b"application/grpc"), (b"POST", b"text/html")])
def test_what_is_no_call_gets_an_answer_of_http(server: Wire, method: bytes, kind: bytes) -> None:
    headers: Any = [item for item in h2.request(CARRY, method=method) if item[0] != b"content-type"]
    with Peer(server.address).greet() as peer:
        block = h2.block([*headers, (b"content-type", kind)])
        peer.write(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, block))
        assert status(peer.frames())


@pytest.mark.parametrize(
    "header", [(b"grpc-timeout", b"soon"), (b"grpc-timeout", b"999999999S"), (b"x-bin", b"!!")]
)
def test_a_header_that_cannot_be_read_is_refused(server: Wire, header: tuple[bytes, bytes]) -> None:
    with Peer(server.address).greet() as peer:
        peer.call(1, CARRY, SMALL, [header])
        assert b"3" in status(peer.frames()).payload


def test_an_unknown_compression_is_told(server: Wire) -> None:
    with Peer(server.address).greet() as peer:
        peer.call(1, CARRY, SMALL, [(b"grpc-encoding", b"snappy")])
        told = status(peer.frames()).payload
    assert b"12" in told
    assert b"identity,gzip,deflate" in told


@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\x00\x00\x00\x00\x09abc", b"\x00\x00\x00\x00\x01abc", b"\x01\x00\x00\x00\x01a"]
)
def test_a_body_that_is_not_one_message_is_refused(server: Wire, body: bytes) -> None:
    with Peer(server.address).greet() as peer:
        peer.write(frame(h2.HEADERS, h2.END_HEADERS, 1, h2.block(h2.request(CARRY))))
        peer.write(frame(h2.DATA, h2.END_STREAM, 1, body))
        assert status(peer.frames())
