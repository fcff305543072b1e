"""The same service as REST on Litestar: msgspec structs, asyncpg and redis-py, on uvicorn."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

import uvicorn
from litestar import Litestar, MediaType, Request, Response, get, patch
from litestar.datastructures import State
from litestar.di import Provide
from litestar.params import Parameter
from msgspec import UNSET, Meta, Struct, UnsetType, json
from tests.bench.peers.errors import StoryError
from tests.bench.peers.flags import Flags, parser
from tests.bench.peers.rest import STATUSES, UVICORN, Kind, columns_of, fields_of, values_of
from tests.bench.peers.store import Codec, Stories, connected
from tests.bench.peers.stories import TAG_LENGTH_MAX, TAGS_MAX, TEXT_LENGTH_MAX, WRITABLE

Title = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX["title"])]
Url = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX["url"])]
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX["text"])]
Tag = Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH_MAX)]
Tags = Annotated[list[Tag], Meta(max_length=TAGS_MAX)]
Count = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Time = Annotated[datetime, Meta(tz=True)]


class StoryChange(Struct, rename="camel", kw_only=True):
    """The fields that a client may set."""

    title: Title | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    text: Text | UnsetType = UNSET
    score: Count | UnsetType = UNSET
    comment_count: Count | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    annotations: dict[str, str] | UnsetType = UNSET
    post_time: Time | UnsetType | None = UNSET
    etag: str = ""


class Story(Struct, rename="camel", kw_only=True):
    """A story as it is stored, cached and answered."""

    name: str
    uid: str
    title: str
    url: str
    text: str
    author: str
    score: int
    comment_count: int
    kind: Kind
    tags: list[str]
    annotations: dict[str, str]
    post_time: Time | None
    create_time: Time
    update_time: Time
    delete_time: Time | None
    purge_time: Time | None
    etag: str


STORIES = Codec(
    of_row=lambda row: Story(**fields_of(row)),
    encode=json.Encoder().encode,
    decode=json.Decoder(Story).decode,
)


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with connected(Flags.from_environment(), STORIES) as stories:
        app.state.stories = stories
        yield


def stories_of(state: State) -> Stories[Story]:
    return state.stories


def refuse(_request: Request[Any, Any, Any], error: StoryError) -> Response[dict[str, str]]:
    status = STATUSES[type(error)]
    return Response({"detail": str(error)}, status_code=status, media_type=MediaType.JSON)


@get("/v1/stories/{story_id:str}")
async def get_story(story_id: str, stories: Stories[Story]) -> Story:
    return await stories.get(f"stories/{story_id}")


@patch("/v1/stories/{story_id:str}")
async def update_story(
    story_id: str,
    data: StoryChange,
    stories: Stories[Story],
    update_mask: Annotated[str, Parameter(query="updateMask")] = "",
) -> Story:
    sent = [column for column in WRITABLE if getattr(data, column) is not UNSET]
    columns = columns_of(update_mask, sent)
    return await stories.update(f"stories/{story_id}", data.etag, values_of(data, columns))


app = Litestar(
    [get_story, update_story],
    dependencies={"stories": Provide(stories_of, sync_to_thread=False)},
    exception_handlers={StoryError: refuse},
    lifespan=[lifespan],
    openapi_config=None,
)

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    flags = Flags.of(parser(__doc__).parse_args())
    flags.to_environment()
    uvicorn.run(app, host=flags.host, port=flags.port, **UVICORN)
