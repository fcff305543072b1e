"""Connect and gRPC-Web, as their clients use them: one platform of stories behind them."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from urllib.parse import urlencode

import pytest
from tests.integration.transport.envelopes import envelope, envelopes
from tests.integration.transport.web import JSON, SERVICE, Web, connect


def test_a_unary_call_of_connect_in_json_and_binary(web: Web) -> None:
    story = web.story(title="Connected")
    reply = connect(web, "GetStory", {"name": story["name"]}, connect_protocol_version="1")
    assert reply.json["title"] == "Connected"
    assert reply.headers["trailer-entresol-answered-by"]
    name = story["name"].encode()
    message = b"\x0a" + bytes((len(name),)) + name
    binary = connect(web, "GetStory", message, content_type="application/proto")
    assert binary.headers["content-type"] == "application/proto"
    assert b"Connected" in binary.body


def test_a_call_of_connect_may_be_packed(web: Web) -> None:
    story = web.story(title="x" * 200, text="y" * 2000)
    body = gzip.compress(json.dumps({"name": story["name"]}).encode())
    reply = connect(web, "GetStory", body, content_type=JSON, content_encoding="gzip", accept_encoding="gzip")
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body))["text"] == "y" * 2000
    unknown = connect(web, "GetStory", b"{}", content_type=JSON, content_encoding="br")
    assert unknown.json["code"] == "unimplemented"


def test_a_read_of_connect_may_be_a_get(web: Web) -> None:
    story = web.story(title="Got")
    text = json.dumps({"name": story["name"]})
    plain = urlencode({"connect": "v1", "encoding": "json", "message": text})
    reply = web.send("GET", f"{SERVICE}/GetStory?{plain}")
    assert reply.json["title"] == "Got"
    assert (
        web.send(
            "GET", f"{SERVICE}/GetStory?{plain}", headers={"if-none-match": reply.headers["etag"]}
        ).status
        == 304
    )
    coded = urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    query = urlencode({"connect": "v1", "encoding": "json", "base64": "1", "message": coded})
    assert web.send("GET", f"{SERVICE}/GetStory?{query}").json["title"] == "Got"
    assert web.send("GET", f"{SERVICE}/DeleteStory?{plain}").status == 405


def test_an_error_of_connect(web: Web) -> None:
    missing = connect(web, "GetStory", {"name": "stories/nothing"})
    assert missing.status == 404
    assert missing.json["code"] == "not_found"
    detail = missing.json["details"][0]
    assert detail["type"] == "google.rpc.ErrorInfo"
    assert b"stories/nothing" in b64decode(detail["value"] + "==")
    unknown = connect(web, "SingStory", {})
    assert (unknown.status, unknown.json["code"]) == (404, "unimplemented")


@pytest.mark.parametrize(
    ("strange", "known"),
    [
        ("text/xml", "application/json, application/proto"),
        ("application/foo", "application/json, application/proto"),
        ("application/connect+json", "application/json, application/proto"),
        ("application/grpc-web+foo", "application/grpc-web, application/grpc-web+proto"),
    ],
)
def test_an_unknown_codec_is_told_which_there_are(web: Web, strange: str, known: str) -> None:
    refused = connect(web, "GetStory", b"{}", content_type=strange)
    assert refused.status == 415
    assert refused.headers["accept-post"].startswith(known)


@pytest.mark.parametrize("kind", ["application/json", "application/grpc-web", "text/plain"])
def test_a_method_takes_no_other_verbs(web: Web, kind: str) -> None:
    for verb in ("DELETE", "PUT", "PATCH", "OPTIONS"):
        refused = web.send(verb, f"{SERVICE}/DeleteStory", b"{}", {"content-type": kind})
        assert (refused.status, refused.headers["allow"]) == (405, "POST")
    refused = web.send("DELETE", f"{SERVICE}/GetStory", b"{}", {"content-type": "application/json"})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, POST")


def test_a_deadline_of_connect(web: Web) -> None:
    late = connect(web, "GetStory", {"name": "stories/late"}, connect_timeout_ms="0")
    assert late.json["code"] == "deadline_exceeded"
    wrong = connect(web, "GetStory", {"name": "stories/late"}, connect_timeout_ms="soon")
    assert wrong.json["code"] == "invalid_argument"


@pytest.mark.parametrize("kind", ["application/grpc-web+proto", "application/grpc-web-text"])
def test_a_call_of_grpc_web(web: Web, kind: str) -> None:
    story = web.story(title="Woven")
    name = story["name"].encode()
    body = envelope(b"\x0a" + bytes((len(name),)) + name)
    is_text = "text" in kind
    reply = connect(web, "GetStory", b64encode(body) if is_text else body, content_type=kind)
    (_, message), (flags, trailers) = envelopes(b64decode(reply.body) if is_text else reply.body)
    assert b"Woven" in message
    assert flags == 0x80
    assert b"grpc-status: 0\r\n" in trailers
    missing = envelope(b"\x0a\x09stories/x")
    refused = connect(web, "GetStory", b64encode(missing) if is_text else missing, content_type=kind)
    assert (refused.status, refused.headers["grpc-status"]) == (200, "5")
