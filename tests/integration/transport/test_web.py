"""The web's port, as browsers, Connect's clients, CDNs and curl use it: one platform of stories behind it."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import itertools
import json
import re
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from tests.integration.transport.envelopes import envelope, envelopes

from entresol.config import Settings
from entresol.errors import InvalidArgumentError
from entresol.service.table import Route
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate
from entresol.transport.web import caching, conditions
from entresol.transport.web.exchange import Request
from entresol.transport.web.json_codec import JsonCodec

ROOT = Path(__file__).resolve().parents[3]
SERVICE = "/stories.v1.StoryService"
JSON = "application/json"
_numbers = itertools.count(1)


@dataclass
class Web:
    """A client over one connection at a time."""

    running: RunningPlatform
    author: str = ""

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request; a body that is not bytes goes as JSON."""
        host, _, port = self.running.web_address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("content-type", JSON)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def story(self, **fields: Any) -> dict[str, Any]:
        """Make a story and return it."""
        name = f"web-{next(_numbers)}"
        story = {"title": "A story", "author": self.author, **fields}
        created = self.send("POST", f"/v1/stories?story_id={name}", story)
        assert created.status == 200, created
        return dict(created.json)


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def web(databases: Databases, migrate_database: Migrate) -> Iterator[Web]:
    database: Database = asyncio.run(databases.create(migrate_database, replicated=True))
    settings = Settings.load(
        {},
        protos=str(ROOT / "protos"),
        functions=str(ROOT / "protos" / "stories" / "functions.py"),
        listen="127.0.0.1:0",
        web_listen="127.0.0.1:0",
        web_origins=("https://news.example",),
        database_write=database.write_url,
        database_read=database.read_urls,
        cache_url=database.servers.cache_url,
        cache_prefix="web",
        relay_slot="web",
        relay_tick_s=0.02,
    )
    with RunningPlatform(settings) as running:
        web = Web(running)
        user = web.send("POST", "/v1/users?user_id=web-ann", {"displayName": "Ann"})
        assert user.status == 200, user
        web.author = user.json["name"]
        yield web
    asyncio.run(databases.drop(database))


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


def test_the_document_describes_every_way_to_call(web: Web) -> None:
    text = web.send("GET", "/openapi.json").body.decode()
    document = json.loads(text)
    schemas = document["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert references <= set(schemas)
    methods = web.running.platform.model.methods.values()
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert len(operations) == sum(len(method.bindings) for method in methods)
    for path, verbs in document["paths"].items():
        for one in verbs.values():
            named = [item["name"] for item in one["parameters"] if item["in"] == "path"]
            assert sorted(re.findall(r"\{([^}]*)\}", path)) == sorted(named)
    story = schemas["stories.v1.Story"]["properties"]
    assert story["createTime"].items() >= {"type": "string", "format": "date-time", "readOnly": True}.items()
    assert document["paths"]["/v1/stories/{story}"]["get"]["tags"] == ["stories.v1.StoryService"]


def test_the_document_has_the_words_of_the_protos(web: Web) -> None:
    document = web.send("GET", "/openapi.json").json
    operations = [one for path in document["paths"].values() for one in path.values()]
    assert all(one["summary"] for one in operations)
    path = document["paths"]["/v1/stories/{story}"]
    assert path["get"]["summary"] == "Returns one story."
    mask = next(one for one in path["patch"]["parameters"] if one["name"] == "updateMask")
    assert mask["description"].startswith("The fields to change.")
    story = document["components"]["schemas"]["stories.v1.Story"]
    assert story["description"] == "Something worth reading: a link, or a text of its own."
    assert story["properties"]["title"] == {"type": "string", "description": "The headline."}
    tag = {"name": "stories.v1.StoryService", "description": "The stories of the news site."}
    assert tag in document["tags"]


def test_the_document_has_an_example_of_every_body_that_can_be_sent(web: Web) -> None:
    document = web.send("GET", "/openapi.json").json
    model = web.running.platform.model
    codec = JsonCodec(model.descriptor_set)
    bodies = [
        one["requestBody"]["content"][JSON]
        for path in document["paths"].values()
        for one in path.values()
        if "requestBody" in one
    ]
    assert len(bodies) == sum(bool(one.body) for method in model.methods.values() for one in method.bindings)
    for body in bodies:
        message = model.pool.FindMessageTypeByName(body["schema"]["$ref"].rpartition("/")[2])
        assert body["example"]
        codec.binary(message, json.dumps(body["example"]).encode())
    example = document["paths"]["/v1/stories"]["post"]["requestBody"]["content"][JSON]["example"]
    assert (example["title"], example["author"], example["url"]) == ("title", "users/{user}", None)
    assert web.story(**{**example, "author": web.author})["title"] == "title"
    change = document["paths"]["/v1/stories/{story}"]["patch"]["requestBody"]["content"][JSON]["example"]
    assert web.send("PATCH", f"/v1/{web.story()['name']}", change).json["title"] == "title"
    batch = document["paths"]["/v1/stories:batchCreate"]["post"]["requestBody"]["content"][JSON]["example"]
    assert batch["requests"][0]["story"] == example
    vote = document["paths"]["/v1/stories/{story}:vote"]["post"]["requestBody"]["content"][JSON]["example"]
    assert vote == {"voter": "users/{user}", "direction": "DIRECTION_UP"}


def test_there_is_a_page_to_try_it(web: Web) -> None:
    page = web.send("GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', page.body.decode()):
        assert web.send("GET", name).status == 200


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


def test_nothing_personal_is_for_everybody(web: Web) -> None:
    assert web.send("GET", "/v1/stories/nothing").headers["cache-control"] == "no-store"
    route = web.running.platform.table["/stories.v1.StoryService/GetStory"]
    resource = route.method.resource
    assert resource is not None
    shared = replace(resource, cache=replace(resource.cache, shared_s_max=30.0))
    public = replace(route, method=replace(route.method, resource=shared))

    def lifetime(route: Route, headers: dict[str, str]) -> str:
        request = Request("GET", "/", "", headers)
        reply = caching.cached(route, request, [("content-type", JSON), ("entresol-trace", "1")], b"", b"{}")
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


@pytest.mark.parametrize("condition", ['"nope"', "nope", '""', "W/{}", "validator"])
def test_if_match_with_anything_else_writes_nothing(web: Web, condition: str) -> None:
    story = web.story(title="Kept")
    path = f"/v1/{story['name']}"
    validator = web.send("GET", path).headers["etag"]
    headers = {"if-match": validator if condition == "validator" else condition.format(story["etag"])}
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
    assert request.story.etag == '"a"'  # type: ignore[attr-defined]  # the class is made from the proto
    with pytest.raises(InvalidArgumentError, match="checks no etag"):
        conditions.require(replace(route, is_custom=True), {"if-match": '"a"'}, request)


def strong(web: Web, path: str) -> Answer:
    return web.send("GET", path, headers={"entresol-consistency": "strong"})


def test_a_session_may_come_in_a_cookie(web: Web) -> None:
    story = web.story()
    changed = web.send("PATCH", f"/v1/{story['name']}?update_mask=title", {"title": "Cookie"})
    cookie = {"cookie": f"other=1; entresol-session={changed.headers['entresol-session']}"}
    assert web.send("GET", f"/v1/{story['name']}", headers=cookie).json["title"] == "Cookie"


def connect(web: Web, method: str, body: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.send("POST", f"{SERVICE}/{method}", body, named)


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
    import socket

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
    import socket

    host, _, port = web.running.web_address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as stream:
        stream.sendall(garbage)
        data = b""
        while piece := stream.recv(65536):
            data += piece
    assert data.startswith(b"HTTP/1.1 400")


def test_a_body_that_is_too_large_is_refused(web: Web) -> None:
    import socket

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
