"""What a client of the web's port is told of a request that is wrong: every mistake at once, with its field."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from google.rpc.error_details_pb2 import BadRequest
from tests.integration.transport.web import JSON, Answer, Web, connect


def told(refused: Answer) -> dict[str, str]:
    """Return what was told, by field, in the order of telling."""
    assert refused.status == 400
    violations = refused.json["error"]["details"][1]["fieldViolations"]
    return {one["field"]: one["description"] for one in violations}


def test_every_mistake_of_a_body_is_told_with_its_field(web: Web) -> None:
    body = {"titel": "x", "score": "many", "postTime": "yesterday", "tags": ["a", 1], "annotations": {"x": 1}}
    assert told(web.send("POST", "/v1/stories", body)) == {
        "story.titel": "Story has no field 'titel'; did you mean title?",
        "story.score": "must be a whole number from -2147483648 to 2147483647",
        "story.post_time": 'must be a time as RFC 3339 has it, such as "2026-01-31T09:30:00Z"',
        "story.tags[1]": "must be a string",
        'story.annotations["x"]': "must be a string",
    }
    vote = {"voter": 1, "direction": "DIRECTION_UPP"}
    found = told(web.send("POST", f"/v1/{web.story()['name']}:vote", vote))
    assert found["voter"] == "must be a string"
    assert found["direction"].endswith("did you mean DIRECTION_UP?")


def test_connect_is_told_the_same_from_the_request_on(web: Web) -> None:
    refused: Any = connect(web, "CreateStory", {"story": {"titel": 1, "score": {}}, "story_idd": ""})
    assert (refused.status, refused.json["code"]) == (400, "invalid_argument")
    detail = next(one for one in refused.json["details"] if one["type"] == BadRequest.DESCRIPTOR.full_name)
    found = BadRequest.FromString(b64decode(detail["value"] + "=="))
    assert [one.field for one in found.field_violations] == ["story.titel", "story.score", "story_idd"]


def test_of_a_body_that_is_no_json_the_place_is_told(web: Web) -> None:
    refused = web.send("POST", "/v1/stories", b'{"title": "x",\n "score" 1}', {"content-type": JSON})
    assert told(refused) == {"body": "is no JSON: expected `:` at line 2, column 10"}


def test_every_mistake_of_a_query_is_told_with_what_is_expected(web: Web) -> None:
    query = "page_size=abc&orderBye=x&show_deleted=maybe&pageSize=1.5&filter=&$alt=json"
    whole = "must be a whole number from -2147483648 to 2147483647"
    assert told(web.send("GET", f"/v1/stories?{query}")) == {
        "page_size": whole,
        "orderBye": "ListStoriesRequest has no field 'orderBye'; did you mean orderBy?",
        "show_deleted": "must be true or false",
        "pageSize": whole,
    }
    many = "&".join(f"x{number}=1" for number in range(1000))
    assert 20 < len(told(web.send("GET", f"/v1/stories?{many}"))) <= 100
    alike = "&".join(f"orderBy{number}=1" for number in range(8))
    near = ["did you mean" in one for one in told(web.send("GET", f"/v1/stories?{alike}")).values()]
    assert near == [True] * 5 + [False] * 3


def test_the_mistakes_of_query_and_body_are_told_together(web: Web) -> None:
    refused = web.send(
        "PATCH", f"/v1/{web.story()['name']}?allow_missing=perhaps&story.title=x", {"score": "x"}
    )
    assert list(told(refused)) == ["allow_missing", "story.title", "story.score"]
