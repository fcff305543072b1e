"""The stories as messages, for the peers that speak gRPC: of a row, and checked into columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

import grpc
from tests.bench.peers.errors import ChangedError, ExistsError, InvalidError, NotFoundError, StoryError
from tests.bench.peers.stories import (
    TAG_LENGTH_MAX,
    TAGS_MAX,
    TEXT_LENGTH_MAX,
    WRITABLE,
    etag_of,
)

messages, services = grpc.protos_and_services("tests/bench/peers/stories.proto")

TIMES = ("post_time", "create_time", "update_time", "delete_time", "purge_time")
CODES: Mapping[type[StoryError], grpc.StatusCode] = {
    InvalidError: grpc.StatusCode.INVALID_ARGUMENT,
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    ExistsError: grpc.StatusCode.ALREADY_EXISTS,
    ChangedError: grpc.StatusCode.ABORTED,
}


def story_of(row: Mapping[str, Any]) -> Any:
    story = messages.Story(
        name=row["name"],
        uid=str(row["uid"]),
        title=row["title"],
        url=row["url"],
        text=row["text"],
        author=row["author"],
        score=row["score"],
        comment_count=row["comment_count"],
        kind=row["kind"],
        tags=row["tags"],
        annotations=row["annotations"],
        etag=etag_of(row["version"]),
    )
    for field in TIMES:
        if (value := row[field]) is not None:
            getattr(story, field).FromDatetime(value)
    return story


def check_name(name: str) -> None:
    if not name.startswith("stories/"):
        raise InvalidError("name: must be stories/{story}")


def changes(story: Any, fields: Iterable[str]) -> dict[str, Any]:
    """Return the columns that these fields change, or raise InvalidError."""
    return {field: _checked(story, field) for field in fields}


def columns(story: Any) -> dict[str, Any]:
    """Return the columns of a new story, or raise InvalidError."""
    if not story.author:
        raise InvalidError("author: must not be empty")
    return {"author": story.author, **changes(story, WRITABLE)}


def _checked(story: Any, field: str) -> Any:
    if field not in WRITABLE:
        raise InvalidError(f"update_mask: {field} cannot be changed")
    if field in _CONVERTED:
        return _CONVERTED[field](story)
    value = getattr(story, field)
    if field in TEXT_LENGTH_MAX and len(value) > TEXT_LENGTH_MAX[field]:
        raise InvalidError(f"{field}: too long")
    if field == "title" and not value:
        raise InvalidError("title: must not be empty")
    return value


def _tags(story: Any) -> list[str]:
    tags = list(story.tags)
    if len(tags) > TAGS_MAX or not all(0 < len(tag) <= TAG_LENGTH_MAX for tag in tags):
        raise InvalidError("tags: too many, or one that is empty or too long")
    return tags


def _post_time(story: Any) -> Any:
    return story.post_time.ToDatetime(UTC) if story.HasField("post_time") else None


_CONVERTED: Mapping[str, Callable[[Any], Any]] = {
    "tags": _tags,
    "annotations": lambda story: dict(story.annotations),
    "post_time": _post_time,
}
