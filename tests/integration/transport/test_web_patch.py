"""Rule 98 over REST: a PATCH without a mask changes what its JSON has, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.integration.transport.test_web_mistakes import told
from tests.integration.transport.web import SERVICE, Web, strong

from entresol.transport.web.patches import imply_mask

FIELDS = {
    "url": "https://one.example/",
    "score": 3,
    "kind": "KIND_ASK",
    "tags": ["a"],
    "annotations": {"k": "v"},
    "postTime": "2026-01-31T09:30:00Z",
}
CHANGES = {"etag", "updateTime"}


@pytest.mark.parametrize(
    ("field", "empty"),
    [
        ("score", 0),
        ("score", None),
        ("url", ""),
        ("url", None),
        ("kind", "KIND_UNSPECIFIED"),
        ("tags", []),
        ("tags", None),
        ("annotations", {}),
        ("postTime", None),
        ("post_time", None),
    ],
)
def test_what_is_there_and_empty_clears(web: Web, field: str, empty: Any) -> None:
    story = web.story(**FIELDS)
    changed = web.send("PATCH", f"/v1/{story['name']}", {field: empty}).json
    gone = "postTime" if field == "post_time" else field
    assert {key for key in story if story.get(key) != changed.get(key)} == {gone} | CHANGES
    assert gone not in changed
    assert strong(web, f"/v1/{story['name']}").json == changed


def test_a_record_that_was_read_is_changed_and_sent_back_whole(web: Web) -> None:
    story = web.story(**FIELDS)
    path = f"/v1/{story['name']}"
    read = strong(web, path).json
    assert read == story
    first = web.send("PATCH", path, {**read, "title": "Other"}).json
    assert {key for key in story if story[key] != first[key]} == {"title"} | CHANGES
    refused = web.send("PATCH", path, {**first, "author": "users/somebody"})
    assert list(told(refused)) == ["story.author"]
    assert (
        web.send("PATCH", path, {**story, "title": "Late"}).status == 409
    )  # by the etag that was read first
    assert strong(web, path).json == first


def test_what_must_not_be_empty_is_not_cleared(web: Web) -> None:
    path = f"/v1/{web.story()['name']}"
    assert list(told(web.send("PATCH", path, {"title": "", "author": None}))) == [
        "story.title",
        "story.author",
    ]


@pytest.mark.parametrize(
    "body", [{}, {"uid": "x", "createTime": None, "update_time": None}, {"name": "stories/x"}, b""]
)
def test_a_body_with_nothing_to_write_leaves_the_record_as_it_is(web: Web, body: Any) -> None:
    story = web.story(**FIELDS)
    path = f"/v1/{story['name']}"
    assert web.send("PATCH", path, body).json == story
    assert web.send("PATCH", path, body, {"if-match": story["etag"]}).json == story
    assert web.send("PATCH", path, body, {"if-match": '"0000000000000001"'}).status == 412
    assert web.send("PATCH", "/v1/stories/nothing", body).status == 404


def test_a_mask_in_the_query_counts_alone(web: Web) -> None:
    story = web.story(**FIELDS)
    changed = web.send("PATCH", f"/v1/{story['name']}?updateMask=title", {"title": "Other", "score": 0}).json
    assert (changed["title"], changed["score"]) == ("Other", 3)


def test_what_is_missing_is_created_whole(web: Web) -> None:
    path = f"/v1/stories/web-ensured-{web.story()['name'].rpartition('-')[2]}"
    wanted = {"title": "Ensured", "author": web.author, "score": 0, "tags": ["a"]}
    made = web.send("PATCH", f"{path}?allow_missing=true", wanted).json
    assert (made["title"], made["tags"], len(made["uid"])) == ("Ensured", ["a"], 36)
    assert web.send("PATCH", f"{path}?allow_missing=true", wanted).json == made
    assert web.send("PATCH", f"{path}?allow_missing=true", {}).json == made
    assert "tags" not in web.send("PATCH", f"{path}?allow_missing=true", {"tags": None}).json


def test_a_function_in_place_of_a_standard_update_is_given_no_mask(web: Web) -> None:
    route = web.running.platform.table[f"{SERVICE}/UpdateStory"]
    request: Any = route.method.input_class()
    imply_mask(replace(route, is_custom=True), request, b'{"score": 0}')
    assert not request.update_mask.paths
    imply_mask(route, request, b'{"score": 0, "etag": "x"}')
    assert list(request.update_mask.paths) == ["score"]
