"""What is said for an operation: of stories by gRPC and JSON, of the graph, of jobs. To modify is to get and update."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
from tests.bench import graph
from tests.bench.operation import Operation
from tests.bench.queue import errands
from tests.bench.rows import AUTHOR, TEXT, name_of
from tests.bench.wire import Connection, GrpcConnection, JsonConnection, Request

messages = grpc.protos("tests/bench/peers/stories.proto")

SERVICE = "/stories.v1.StoryService"


Steps = Callable[[Operation, str], tuple[Request, ...]]


@dataclass(frozen=True, slots=True)
class Speech:
    """A way to talk: the connections, and what is sent one after the other for an operation of a round."""

    connection: type[Connection]
    steps: Steps


def title_of(number: int, round_name: str) -> str:
    """Return the title that an update gives a story."""
    return f"Title of story {number} in round {round_name}"


def _grpc(method: str, request: Any, *names: str) -> Request:
    expected = tuple(name.encode() for name in names)
    return Request(b"POST", f"{SERVICE}/{method}".encode(), request.SerializeToString(), expected)


def _get(operation: Operation, _round: str) -> tuple[Request, ...]:
    name = name_of(operation.rows[0])
    return (_grpc("GetStory", messages.GetStoryRequest(name=name), name),)


def _batch_get(operation: Operation, _round: str) -> tuple[Request, ...]:
    names = [name_of(number) for number in operation.rows]
    return (_grpc("BatchGetStories", messages.BatchGetStoriesRequest(names=names), *names),)


def _list(operation: Operation, _round: str) -> tuple[Request, ...]:
    name = name_of(operation.rows[0])
    request = messages.ListStoriesRequest(page_size=operation.count, filter=f'name >= "{name}"')
    return (_grpc("ListStories", request, name),)


def _update(operation: Operation, round_name: str) -> tuple[Request, ...]:
    number = operation.rows[0]
    name = name_of(number)
    request = messages.UpdateStoryRequest(story=messages.Story(name=name, title=title_of(number, round_name)))
    request.update_mask.paths.append("title")
    return (_grpc("UpdateStory", request, name),)


def _create(operation: Operation, round_name: str) -> tuple[Request, ...]:
    number = operation.rows[0]
    name = name_of(number)
    story = messages.Story(title=title_of(number, round_name), text=TEXT, author=AUTHOR)
    request = messages.CreateStoryRequest(story=story, story_id=name.rpartition("/")[2])
    return (_grpc("CreateStory", request, name),)


def _json(method: str, path: str, body: Mapping[str, Any] | None, *names: str) -> Request:
    expected = tuple(name.encode() for name in names)
    return Request(method.encode(), path.encode(), json.dumps(body).encode() if body else b"", expected)


def _get_json(operation: Operation, _round: str) -> tuple[Request, ...]:
    name = name_of(operation.rows[0])
    return (_json("GET", f"/v1/{name}", None, name),)


def _batch_get_json(operation: Operation, _round: str) -> tuple[Request, ...]:
    names = [name_of(number) for number in operation.rows]
    path = "/v1/stories:batchGet?" + "&".join(f"names={name}" for name in names)
    return (_json("GET", path, None, *names),)


def _list_json(operation: Operation, _round: str) -> tuple[Request, ...]:
    name = name_of(operation.rows[0])
    wanted = quote(f'name >= "{name}"')
    return (_json("GET", f"/v1/stories?pageSize={operation.count}&filter={wanted}", None, name),)


def _update_json(operation: Operation, round_name: str) -> tuple[Request, ...]:
    number = operation.rows[0]
    name = name_of(number)
    return (_json("PATCH", f"/v1/{name}?updateMask=title", {"title": title_of(number, round_name)}, name),)


def _create_json(operation: Operation, round_name: str) -> tuple[Request, ...]:
    number = operation.rows[0]
    name = name_of(number)
    story = {"title": title_of(number, round_name), "text": TEXT, "author": AUTHOR}
    return (_json("POST", f"/v1/stories?storyId={name.rpartition('/')[2]}", story, name),)


def _steps(**by_kind: Steps) -> Steps:
    def modify(operation: Operation, round_name: str) -> tuple[Request, ...]:
        return by_kind["get"](operation, round_name) + by_kind["update"](operation, round_name)

    every = {**by_kind, "modify": modify}
    return lambda operation, round_name: every[operation.kind](operation, round_name)


SPEECHES: Mapping[str, Speech] = {
    "grpc": Speech(
        GrpcConnection, _steps(get=_get, batch_get=_batch_get, list=_list, update=_update, create=_create)
    ),
    "json": Speech(
        JsonConnection,
        _steps(
            get=_get_json,
            batch_get=_batch_get_json,
            list=_list_json,
            update=_update_json,
            create=_create_json,
        ),
    ),
    "graph": Speech(GrpcConnection, graph.steps),
    "queue": Speech(GrpcConnection, errands.steps),
}


def operations(listed: Sequence[Sequence[Any]]) -> list[Operation]:
    """Return operations from what JSON made of them."""
    return [Operation(kind, tuple(rows), count) for kind, rows, count in listed]
