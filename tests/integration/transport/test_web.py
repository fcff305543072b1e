"""REST as browsers and curl use it, and what else the web's port does: one platform of stories behind it."""

from __future__ import annotations

import gzip
import json
from base64 import urlsafe_b64encode
from urllib.parse import quote, urlencode

import pytest
from tests.integration.transport.web import JSON, SERVICE, Web, connect


def test_a_record_lives_its_life_over_rest(web: Web) -> None:
    story = web.story(title="First")
    path = f"/v1/{story['name']}"
    assert web.send("GET", path).json["title"] == "First"
    changed = web.send("PATCH", f"{path}?update_mask=title", {"title": "Second"})
    assert changed.json["title"] == "Second"
    session = {"entresol-session": changed.headers["entresol-session"]}
    assert web.send("GET", path, headers=session).json["title"] == "Second"
    assert web.send("DELETE", path).status == 200


def test_lists_take_their_request_from_the_query(web: Web) -> None:
    names = {web.story(title="Listed", score=number)["name"] for number in (1, 2, 3)}
    query = urlencode({"filter": 'title = "Listed"', "order_by": "score desc", "page_size": "2"})
    fresh = {"entresol-consistency": "strong"}
    first = web.send("GET", f"/v1/stories?{query}", headers=fresh).json
    rest = web.send(
        "GET", f"/v1/stories?{query}&page_token={quote(first['nextPageToken'])}", headers=fresh
    ).json
    assert [story["score"] for story in first["stories"]] == [3, 2]
    assert {story["name"] for story in first["stories"] + rest["stories"]} == names


def test_a_custom_method_is_a_verb_behind_a_colon(web: Web) -> None:
    story = web.story(score=10)
    voted = web.send("POST", f"/v1/{story['name']}:vote", {"voter": web.author, "direction": "DIRECTION_UP"})
    assert voted.json["score"] == 11


def test_an_error_of_rest_is_as_aip_193_has_it(web: Web) -> None:
    missing = web.send("GET", "/v1/stories/nothing")
    assert missing.status == 404
    error = missing.json["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["details"][0]["@type"].endswith("google.rpc.ErrorInfo")
    assert error["details"][0]["metadata"]["name"] == "stories/nothing"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/stories", b"{"),
        ("/v1/stories", b'{"title": 5}'),
        ("/v1/stories", b'{"nothing": 5}'),
        ("/v1/stories?nothing=1", b"{}"),
        ("/v1/stories?request_id.more=1", b"{}"),
    ],
)
def test_what_is_no_request_is_told(web: Web, path: str, body: bytes) -> None:
    refused = web.send("POST", path, body, {"content-type": JSON})
    assert refused.status == 400
    assert refused.json["error"]["status"] == "INVALID_ARGUMENT"


def test_paths_and_verbs_that_nothing_serves(web: Web) -> None:
    unknown = web.send("GET", "/v1/storiez/nope")
    error = unknown.json["error"]
    assert (unknown.status, error["code"], error["status"]) == (404, 404, "UNIMPLEMENTED")
    assert (error["details"][0]["reason"], error["details"][0]["metadata"]) == (
        "METHOD_NOT_FOUND",
        {"path": "/v1/storiez/nope"},
    )
    assert "nothing is served at /v1/storiez/nope" in error["message"]
    wrong = web.send("PUT", "/v1/stories")
    error = wrong.json["error"]
    assert (wrong.status, error["code"], error["status"]) == (405, 405, "UNIMPLEMENTED")
    assert (error["message"], error["details"][0]["reason"]) == (
        "/v1/stories does not take PUT; use GET or POST",
        "METHOD_NOT_FOUND",
    )
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "POST"}


@pytest.mark.parametrize("depth", [101, 20_000])
def test_what_is_nested_without_end_is_refused(web: Web, depth: int) -> None:
    body = b'{"title": ' + b"[" * depth + b"}"
    assert web.send("POST", "/v1/stories", body, {"content-type": JSON}).status == 400
    assert connect(web, "GetStory", body, content_type=JSON).json["code"] == "invalid_argument"
    packed = urlsafe_b64encode(gzip.compress(body)).decode()
    query = urlencode(
        {"connect": "v1", "encoding": "json", "base64": "1", "compression": "gzip", "message": packed}
    )
    assert web.send("GET", f"{SERVICE}/GetStory?{query}").status == 400
    flat = json.dumps({"title": "[" * 150, "author": web.author}).encode()
    assert web.send("POST", "/v1/stories", flat, {"content-type": JSON}).status == 200


def test_the_query_takes_the_names_of_json_too(web: Web) -> None:
    web.story(), web.story()
    strong = {"entresol-consistency": "strong"}
    assert len(web.send("GET", "/v1/stories?pageSize=1", headers=strong).json["stories"]) == 1
    story = web.story(url="https://one.example/")
    changed = web.send(
        "PATCH", f"/v1/{story['name']}?updateMask=url,postTime", {"url": "https://two.example/"}
    )
    assert changed.json["url"] == "https://two.example/"


def test_the_query_may_not_say_otherwise_than_the_path_and_the_body(web: Web) -> None:
    one, other = web.story()["name"], web.story()["name"]
    assert web.send("GET", f"/v1/{one}?name={other}").status == 400
    assert web.send("PATCH", f"/v1/{one}?story.name={other}", {"title": "x"}).status == 400
    assert web.send("POST", f"/v1/{one}:vote?direction=DIRECTION_UP", {"voter": web.author}).status == 400


def test_head_is_get_without_the_body(web: Web) -> None:
    path = f"/v1/{web.story()['name']}"
    got, head = web.send("GET", path), web.send("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    assert int(head.headers["content-length"]) == len(got.body)


def test_a_body_of_another_kind_is_refused(web: Web) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        refused = web.send("POST", "/v1/stories", b'{"title": "x"}', {"content-type": kind})
        assert refused.status == 400
    wrong = web.send("POST", f"/v1/{web.story()['name']}", {"title": "x"})
    assert (wrong.status, wrong.headers["allow"]) == (405, "DELETE, GET, PATCH")
    assert connect(web, "GetStory", b"", content_type="application/connect+proto").status == 415


def test_a_session_may_come_in_a_cookie(web: Web) -> None:
    story = web.story()
    changed = web.send("PATCH", f"/v1/{story['name']}?update_mask=title", {"title": "Cookie"})
    cookie = {"cookie": f"other=1; entresol-session={changed.headers['entresol-session']}"}
    assert web.send("GET", f"/v1/{story['name']}", headers=cookie).json["title"] == "Cookie"


def test_pages_of_a_known_origin_may_read(web: Web) -> None:
    origin = {"origin": "https://news.example"}
    asked = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "x-a"}
    preflight = web.send("OPTIONS", f"{SERVICE}/GetStory", headers=asked)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == origin["origin"]
    assert preflight.headers["access-control-allow-headers"] == "x-a"
    got = web.send("GET", "/v1/stories/nothing", headers=origin)
    assert got.headers["access-control-allow-origin"] == origin["origin"]
    strange = web.send("GET", "/v1/stories/nothing", headers={"origin": "https://else.example"})
    assert "access-control-allow-origin" not in strange.headers
