"""Server streams over the web's port: Connect's envelopes, gRPC-Web's frames, REST's lines."""

from __future__ import annotations

import http.client
import json
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from tests.integration.transport.conftest import Wire, path, wire_settings
from tests.integration.transport.envelopes import envelope, envelopes
from tests.integration.transport.wire import ECHO, LEAD, LEAD_BINARY, Parcel, registry

from entresol.errors import Code
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database

THREE = {"payload": "eA==", "count": 3}


@pytest.fixture(scope="module")
def wired(wire_database: Database) -> Iterator[Wire]:
    ended: Counter[str] = Counter()
    settings = wire_settings(wire_database, "http2", web_listen="127.0.0.1:0")
    with RunningPlatform(settings, functions=registry(ended)) as running:
        yield Wire("web", running, ended)


def connection(wired: Wire) -> http.client.HTTPConnection:
    host, _, port = wired.running.web_address.rpartition(":")
    return http.client.HTTPConnection(host, int(port), timeout=10)


def sent(wired: Wire, target: str, kind: str, body: bytes) -> tuple[int, bytes]:
    client = connection(wired)
    client.request("POST", target, body, {"content-type": kind})
    response = client.getresponse()
    data = response.read()
    client.close()
    return response.status, data


def test_connect_sends_each_reply_in_an_envelope(wired: Wire) -> None:
    body = envelope(json.dumps(THREE).encode())
    status, data = sent(wired, path("Repeat"), "application/connect+json", body)
    *replies, (flags, end) = envelopes(data)
    assert status == 200
    assert [json.loads(reply)["payload"] for _, reply in replies] == ["eA=="] * 3
    assert (flags, json.loads(end)) == (2, {})
    message = envelope(Parcel(payload=b"x", count=2).SerializeToString())
    _, data = sent(wired, path("Repeat"), "application/connect+proto", message)
    assert [Parcel.FromString(reply).payload for _, reply in envelopes(data)[:-1]] == [b"x", b"x"]


def test_connect_tells_an_error_at_the_end(wired: Wire) -> None:
    body = envelope(json.dumps({**THREE, "code": int(Code.ABORTED)}).encode())
    status, data = sent(wired, path("Repeat"), "application/connect+json", body)
    found = envelopes(data)
    assert status == 200
    assert len(found) == 3
    assert json.loads(found[-1][1])["error"]["code"] == "aborted"
    _, data = sent(wired, path("Repeat"), "application/connect+json", b"no envelope")
    assert json.loads(envelopes(data)[-1][1])["error"]["code"] == "resource_exhausted", "its length is read"
    _, data = sent(wired, path("Repeat"), "application/connect+json", body[:-1])
    assert json.loads(envelopes(data)[-1][1])["error"]["code"] == "invalid_argument"


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web-text+proto"])
def test_grpc_web_sends_frames_and_trailers(wired: Wire, kind: str) -> None:
    body = envelope(Parcel(payload=b"x", count=3, code=Code.ABORTED).SerializeToString())
    is_text = "text" in kind
    _, data = sent(wired, path("Repeat"), kind, b64encode(body) if is_text else body)
    if is_text:  # each frame is padded for itself
        data = b"".join(b64decode(part + b"=" * (-len(part) % 4)) for part in data.split(b"=") if part)
    *replies, (flags, trailers) = envelopes(data)
    assert len(replies) == 2
    assert flags == 0x80
    assert b"grpc-status: 10\r\n" in trailers


def refused(wired: Wire, kind: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Return the code with which Connect or gRPC-Web refuse a request for a stream of replies."""
    client = connection(wired)
    client.request("POST", path("Repeat"), body, {"content-type": kind, **headers})
    data = client.getresponse().read()
    client.close()
    ((flags, end),) = envelopes(data)
    if kind.startswith("application/connect"):
        assert flags == 2
        return Code[json.loads(end)["error"]["code"].upper()]
    assert flags == 0x80
    return int(dict(line.split(b": ", 1) for line in end.splitlines())[b"grpc-status"])


ENCODINGS = {
    "application/connect+proto": "connect-content-encoding",
    "application/grpc-web+proto": "grpc-encoding",
}


@pytest.mark.parametrize(("kind", "encoding"), ENCODINGS.items())
def test_one_request_is_taken_and_what_its_frame_says_is_true(wired: Wire, kind: str, encoding: str) -> None:
    one = envelope(Parcel(count=1).SerializeToString())
    marked = envelope(Parcel(count=1).SerializeToString(), flags=1)
    assert refused(wired, kind, b"", {}) == Code.UNIMPLEMENTED
    assert refused(wired, kind, one * 2, {}) == Code.UNIMPLEMENTED
    assert refused(wired, kind, marked, {}) == Code.INTERNAL
    assert refused(wired, kind, marked, {encoding: "identity"}) == Code.INTERNAL
    assert refused(wired, kind, one, {encoding: "snappy"}) == Code.UNIMPLEMENTED
    assert refused(wired, kind, marked, {encoding: "gzip"}) == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("code", [0, int(Code.ABORTED)])
@pytest.mark.parametrize(
    ("target", "kind", "last"),
    [
        (path("Carry"), "application/json", "trailer-echo"),
        (path("Repeat"), "application/connect+json", None),
        (path("Carry"), "application/grpc-web+proto", None),
        (path("Carry"), "application/grpc-web-text", None),
        (path("Repeat"), "application/grpc-web+proto", None),
        ("/v1/parcels:carry", "application/json", "echo"),
        ("/v1/parcels:repeat", "application/json", ""),
    ],
)
def test_what_a_call_says_first_is_headers_of_replies_and_errors(
    wired: Wire, target: str, kind: str, last: str | None, code: int
) -> None:
    """What it says last is in the header `last`, at the end of the body, or, behind REST's lines, nowhere."""
    text, message = json.dumps({"count": 1, "code": code}).encode(), Parcel(count=1, code=code)
    enveloped = envelope(message.SerializeToString())
    body = b64encode(enveloped) if "text" in kind else enveloped if "proto" in kind else text
    if "connect" in kind:
        body = envelope(text)
    client = connection(wired)
    asked = {"content-type": kind, LEAD: "one, two", LEAD_BINARY: "AAEC", ECHO: "final"}
    client.request("POST", target, body, asked)
    response = client.getresponse()
    assert (response.getheader(LEAD), response.getheader(LEAD_BINARY)) == ("one, two", "AAEC")
    data = response.read()
    client.close()
    if "grpc-web" in kind:
        data = b64decode(data) if "text" in kind else data
        assert b"grpc-status: %d\r\n" % code in envelopes(data)[-1][1]
    else:
        is_streamed = "epeat" in target
        assert (response.status == 200) == (code == 0 or is_streamed)
    if last:
        assert response.getheader(last) == "final"
    elif last is None:
        assert b"final" in envelopes(data)[-1][1]


def test_rest_sends_lines(wired: Wire) -> None:
    body = json.dumps({**THREE, "code": int(Code.ABORTED)}).encode()
    status, data = sent(wired, "/v1/parcels:repeat", "application/json", body)
    first, second, end = map(json.loads, data.splitlines())
    assert status == 200
    assert first == second == {"payload": "eA=="}
    assert end["error"]["status"] == "ABORTED"


def test_replies_come_as_they_are_made_and_end_with_their_reader(wired: Wire) -> None:
    client = connection(wired)
    body = envelope(json.dumps({"payload": "eA==", "count": 50, "pauseS": 0.2}).encode())
    started = time.monotonic()
    client.request("POST", path("Repeat"), body, {"content-type": "application/connect+json"})
    response = client.getresponse()
    assert response.read(5)
    assert time.monotonic() - started < 2
    client.close()
    response.close()
    until = time.monotonic() + 5
    while wired.calls:
        assert time.monotonic() < until, "the call went on without a reader"
        time.sleep(0.02)
