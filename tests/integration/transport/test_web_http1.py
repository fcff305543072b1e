"""HTTP/1.1 itself: connections that carry many requests, and what is no HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import time

import pytest
from tests.integration.transport.web import Web


def test_one_connection_carries_many_requests(web: Web) -> None:
    path = f"/v1/{web.story()['name']}"
    host, _, port = web.running.web_address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    for _ in range(200):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        assert json.loads(response.read())["name"] in path
    connection.close()


@pytest.mark.parametrize("piece_bytes", [1_000_000, 40, 7])
def test_requests_that_come_before_the_last_is_answered_are_answered_in_order(
    web: Web, piece_bytes: int
) -> None:
    paths = [f"/v1/{web.story(title=str(number))['name']}" for number in range(5)]
    host, _, port = web.running.web_address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = b"".join(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode() for path in paths)
        for at in range(0, len(sent), piece_bytes):
            stream.sendall(sent[at : at + piece_bytes])
        data, until = b"", time.monotonic() + 10
        while data.count(b"HTTP/1.1 200") < 5 or not data.endswith(b"}"):
            assert time.monotonic() < until
            data += stream.recv(65536)
    places = [data.index(path.removeprefix("/v1/").encode()) for path in paths]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "garbage", [b"\x00\x01\x02\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"]
)
def test_what_is_no_http_is_refused_and_closed(web: Web, garbage: bytes) -> None:
    host, _, port = web.running.web_address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as stream:
        stream.sendall(garbage)
        data = b""
        while piece := stream.recv(65536):
            data += piece
    assert data.startswith(b"HTTP/1.1 400")


def test_a_body_that_is_too_large_is_refused(web: Web) -> None:
    host, _, port = web.running.web_address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as stream:
        head = "POST /v1/stories HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        stream.sendall(f"{head}content-length: 99999999999\r\n\r\n".encode())
        try:
            for _ in range(1000):
                stream.sendall(bytes(100_000))
        except OSError:
            pass
        else:
            pytest.fail("a hundred megabytes were taken")
