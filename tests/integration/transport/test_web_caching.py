"""Validators, lifetimes and conditions over HTTP, of one platform of stories."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tests.integration.transport.web import JSON, SERVICE, Web, strong

from entresol.errors import InvalidArgumentError
from entresol.service.table import Route
from entresol.transport.web import caching, conditions
from entresol.transport.web.exchange import Request, Response


def test_nothing_personal_is_for_everybody(web: Web) -> None:
    assert web.send("GET", "/v1/stories/nothing").headers["cache-control"] == "no-store"
    route = web.running.platform.table["/stories.v1.StoryService/GetStory"]
    resource = route.method.resource
    assert resource is not None
    shared = replace(resource, cache=replace(resource.cache, shared_s_max=30.0))
    public = replace(route, method=replace(route.method, resource=shared))

    def lifetime(route: Route, headers: dict[str, str]) -> str:
        request = Request("GET", "/", "", headers)
        answer = Response(200, [("content-type", JSON), ("entresol-trace", "1")], b"{}")
        reply = caching.cached(route, request, "", b"", answer)
        told = dict(reply.headers)
        assert ("entresol-trace" in told) == told["cache-control"].startswith("private")
        return told["cache-control"]

    assert lifetime(public, {}) == "public, max-age=0, s-maxage=30"
    for name in ("authorization", "cookie", "entresol-session", "entresol-consistency", "entresol-read-mask"):
        assert lifetime(public, {name: "x"}) == "private, no-cache"
    assert lifetime(replace(public, guarded=True), {}) == "private, no-cache"


def test_a_client_that_has_a_reply_is_told_so(web: Web) -> None:
    path = f"/v1/{web.story()['name']}"
    first = web.send("GET", path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["surrogate-key"].split() == ["stories", path.removeprefix("/v1/")]
    again = web.send("GET", path, headers={"if-none-match": f'"other", W/{etag}'})
    assert (again.status, again.body) == (304, b"")
    changed = web.send("PATCH", f"{path}?update_mask=title", {"title": "New"})
    session = {"entresol-session": changed.headers["entresol-session"], "if-none-match": etag}
    assert web.send("GET", path, headers=session).status == 200


def test_every_variant_of_a_record_has_the_keys_to_forget_it_by(web: Web) -> None:
    name = web.story()["name"]
    message = urlencode({"connect": "v1", "encoding": "json", "message": json.dumps({"name": name})})
    for path in (f"/v1/{name}", f"/v1/{quote(name)}", f"{SERVICE}/GetStory?{message}"):
        for headers in ({}, {"entresol-read-mask": "title"}, {"entresol-read-mask": "name"}):
            reply = web.send("GET", path, headers=headers)
            assert ("name" in reply.json) == (headers.get("entresol-read-mask") != "title")
            assert reply.headers["surrogate-key"] == f"stories {name}"
    assert web.send("GET", "/v1/stories").headers["surrogate-key"] == "stories"


def test_if_match_with_the_etag_of_the_record_lets_one_writer_win(web: Web) -> None:
    story = web.story()
    path = f"/v1/{story['name']}"
    seen = {"if-match": story["etag"]}
    first = web.send("PATCH", path, {"title": "First"}, seen)
    assert first.status == 200
    late = web.send("PATCH", path, {"title": "Late"}, seen)
    assert (late.status, late.json["error"]["code"], late.json["error"]["status"]) == (412, 412, "ABORTED")
    assert late.json["error"]["details"][0]["reason"] == "STALE_ETAG"
    assert web.send("DELETE", path, headers=seen).status == 412
    assert strong(web, path).json["title"] == "First"
    body_only = web.send("PATCH", path, {"title": "Late", "etag": story["etag"]})
    assert body_only.status == 409
    gone = web.send("DELETE", path, headers={"if-match": first.json["etag"]})
    assert gone.status == 200
    assert web.send("POST", f"{path}:undelete", {}, seen).status == 412
    assert web.send("POST", f"{path}:undelete", {}, {"if-match": gone.json["etag"]}).status == 200


def test_if_match_with_the_validator_of_a_get_lets_one_writer_win(web: Web) -> None:
    story = web.story()
    path = f"/v1/{story['name']}"
    read = strong(web, path).headers["etag"]
    record, point, _ = read.strip('"').partition(".")
    assert (record, point) == (story["etag"].strip('"'), ".")
    assert web.send("GET", path, headers={"if-none-match": read}).status == 304
    first = web.send("PATCH", path, {"title": "First", "etag": story["etag"]}, {"if-match": read})
    assert first.status == 200
    again = strong(web, path).headers["etag"]
    assert again != read
    for verb, body in (("PATCH", {"title": "Late"}), ("DELETE", None)):
        assert web.send(verb, path, body, {"if-match": read}).status == 412
    assert web.send("DELETE", path, headers={"if-match": again}).status == 200
    gone = strong(web, path).headers["etag"]
    assert web.send("POST", f"{path}:undelete", {}, {"if-match": again}).status == 412
    assert web.send("POST", f"{path}:undelete", {}, {"if-match": gone}).status == 200


def test_a_validator_is_of_these_very_bytes(web: Web) -> None:
    story = web.story()
    path, part = f"/v1/{story['name']}", {"entresol-read-mask": "etag,title"}
    message = urlencode(
        {"connect": "v1", "encoding": "proto", "message": f"\n{chr(len(story['name']))}{story['name']}"}
    )
    asked = [(path, {}), (path, part), (f"{SERVICE}/GetStory?{message}", {})]
    found = [web.send("GET", address, headers=headers).headers["etag"] for address, headers in asked]
    assert len(set(found)) == 3
    assert {one.partition(".")[0] for one in found} == {story["etag"].rstrip('"')}
    assert web.send("PATCH", path, {"title": "x"}, {"if-match": found[1]}).status == 200
    assert "." not in web.send("GET", "/v1/stories").headers["etag"]


@pytest.mark.parametrize(
    "condition", ['"nope"', "nope", '""', "W/{}", '"nope.{}', "masked", "weakened", "listed"]
)
def test_if_match_with_anything_else_writes_nothing(web: Web, condition: str) -> None:
    story = web.story(title="Kept")
    path = f"/v1/{story['name']}"
    without_etag = web.send("GET", path, headers={"entresol-read-mask": "title"})
    validators = {
        "masked": without_etag.headers["etag"],
        "weakened": f"W/{web.send('GET', path).headers['etag']}",
        "listed": web.send("GET", "/v1/stories").headers["etag"],
    }
    headers = {"if-match": validators.get(condition, condition.format(story["etag"]))}
    for verb, body in (("PATCH", {"title": "Lost"}), ("DELETE", None)):
        refused = web.send(verb, path, body, headers)
        assert refused.status == 412
        assert "`etag` in the record" in refused.json["error"]["message"]
    assert strong(web, path).json == story


def test_if_match_with_a_star_asks_that_there_is_a_record(web: Web) -> None:
    path = f"/v1/{web.story()['name']}"
    there = {"if-match": "*"}
    assert web.send("PATCH", path, {"title": "There"}, there).status == 200
    assert web.send("PATCH", "/v1/stories/nothing", {"title": "x", "author": web.author}, there).status == 404
    assert web.send("DELETE", path, headers=there).status == 200


@pytest.mark.parametrize("etag", ["*", '"0000000000000001"'])
def test_a_condition_that_cannot_be_proven_is_refused(web: Web, etag: str) -> None:
    name = web.story(title="Kept")["name"]
    vote = {"voter": web.author, "direction": "DIRECTION_UP"}
    attempts: list[tuple[str, str, Any, dict[str, str]]] = [
        ("POST", "/v1/stories?story_id=unproven", {"title": "x", "author": web.author}, {"if-match": etag}),
        ("POST", f"/v1/{name}:vote", vote, {"if-match": etag}),
        ("PATCH", "/v1/stories/unproven?allow_missing=true", {"title": "x"}, {"if-match": etag}),
        ("DELETE", f"/v1/{name}?allow_missing=true", None, {"if-match": etag}),
        ("PATCH", f"/v1/{name}", {"title": "x"}, {"if-match": f'{etag}, "0000000000000002"'}),
        ("PATCH", f"/v1/{name}", {"title": "x"}, {"if-match": ""}),
        ("DELETE", f"/v1/{name}?etag=0000000000000002", None, {"if-match": '"0000000000000001"'}),
        ("PATCH", f"/v1/{name}", {"title": "x"}, {"if-none-match": etag}),
    ]
    for verb, path, body, headers in attempts:
        refused = web.send(verb, path, body, headers)
        assert refused.status == 400, (verb, path, refused)
        violation = refused.json["error"]["details"][1]["fieldViolations"][0]
        assert violation["field"] == next(iter(headers))
    assert strong(web, f"/v1/{name}").json["title"] == "Kept"
    assert web.send("GET", "/v1/stories/unproven").status == 404


def test_a_time_is_no_condition_where_none_is_told(web: Web) -> None:
    path = f"/v1/{web.story()['name']}"
    since = {"if-unmodified-since": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert web.send("PATCH", path, {"title": "changed"}, since).status == 200


def test_a_read_asks_nothing_of_if_match(web: Web) -> None:
    path = f"/v1/{web.story()['name']}"
    assert web.send("GET", path, headers={"if-match": '"nope"'}).status == 200
    assert web.send("HEAD", path, headers={"if-match": '"nope"'}).status == 200


def test_a_function_in_place_of_a_standard_method_is_asked_no_condition(web: Web) -> None:
    route = web.running.platform.table[f"{SERVICE}/UpdateStory"]
    request = route.method.input_class()
    conditions.require(route, {"if-match": '"a"'}, request)
    assert request.story.etag == '"a"'
    with pytest.raises(InvalidArgumentError, match="checks no etag"):
        conditions.require(replace(route, is_custom=True), {"if-match": '"a"'}, request)
