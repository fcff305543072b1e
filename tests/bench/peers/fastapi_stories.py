"""The same service as REST on FastAPI: pydantic models, asyncpg and redis-py, on uvicorn or on granian."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from granian import Granian
from granian.constants import Interfaces, Loops
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from tests.bench.peers.errors import StoryError
from tests.bench.peers.flags import Flags, parser
from tests.bench.peers.rest import STATUSES, UVICORN, Kind, camel, columns_of, fields_of, values_of
from tests.bench.peers.store import Codec, Stories, connected
from tests.bench.peers.stories import (
    NAMES_MAX,
    PAGE_SIZE,
    TAG_LENGTH_MAX,
    TAGS_MAX,
    TEXT_LENGTH_MAX,
    WRITABLE,
    name_of,
)

Title = Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH_MAX["title"])]
Url = Annotated[str, Field(max_length=TEXT_LENGTH_MAX["url"])]
Text = Annotated[str, Field(max_length=TEXT_LENGTH_MAX["text"])]
Tag = Annotated[str, Field(min_length=1, max_length=TAG_LENGTH_MAX)]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX)]
Count = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class StoryChange(BaseModel):
    """The fields that a client may set. Only those are changed that were sent: a default is never stored."""

    model_config = ConfigDict(
        alias_generator=camel, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    title: Title = ""
    url: Url = ""
    text: Text = ""
    score: Count = 0
    comment_count: Count = 0
    kind: Kind = "KIND_UNSPECIFIED"
    tags: Tags = []
    annotations: dict[str, str] = {}
    post_time: AwareDatetime | None = None
    etag: str = ""


class StoryDraft(StoryChange):
    """A new story."""

    title: Title
    author: Annotated[str, Field(min_length=1)]


class Story(StoryDraft):
    """A story as it is stored, cached and answered."""

    name: str
    uid: str
    create_time: AwareDatetime
    update_time: AwareDatetime
    delete_time: AwareDatetime | None = None
    purge_time: AwareDatetime | None = None


class StoryBatch(BaseModel):
    stories: list[Story]


class StoryPage(BaseModel):
    model_config = ConfigDict(alias_generator=camel, validate_by_name=True, serialize_by_alias=True)

    stories: list[Story]
    next_page_token: str


STORIES = Codec(
    of_row=lambda row: Story(**fields_of(row)),
    encode=lambda story: story.model_dump_json().encode(),
    decode=Story.model_validate_json,
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with connected(Flags.from_environment(), STORIES) as stories:
        app.state.stories = stories
        yield


app = FastAPI(title="stories", lifespan=lifespan)


async def stories_of(request: Request) -> Stories[Story]:
    return request.app.state.stories


AllStories = Annotated[Stories[Story], Depends(stories_of)]


@app.exception_handler(StoryError)
async def refuse(_request: Request, error: StoryError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, STATUSES[type(error)])


@app.exception_handler(RequestValidationError)
async def refuse_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
    problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
    return JSONResponse({"detail": "; ".join(problems)}, 400)


@app.get("/v1/stories/{story_id}")
async def get_story(story_id: str, stories: AllStories) -> Story:
    return await stories.get(f"stories/{story_id}")


@app.get("/v1/stories:batchGet")
async def batch_get_stories(
    names: Annotated[list[str], Query(min_length=1, max_length=NAMES_MAX)], stories: AllStories
) -> StoryBatch:
    return StoryBatch(stories=await stories.batch_get(names))


@app.get("/v1/stories")
async def list_stories(
    stories: AllStories,
    page_size: Annotated[int, Query(alias="pageSize")] = PAGE_SIZE,
    page_token: Annotated[str, Query(alias="pageToken")] = "",
    filter_text: Annotated[str, Query(alias="filter")] = "",
) -> StoryPage:
    found, token = await stories.list(page_size, page_token, filter_text)
    return StoryPage(stories=found, next_page_token=token)


@app.post("/v1/stories")
async def create_story(
    draft: StoryDraft, story_id: Annotated[str, Query(alias="storyId")], stories: AllStories
) -> Story:
    return await stories.create(name_of(story_id), values_of(draft, ("author", *WRITABLE)))


@app.patch("/v1/stories/{story_id}")
async def update_story(
    story_id: str,
    change: StoryChange,
    stories: AllStories,
    update_mask: Annotated[str, Query(alias="updateMask")] = "",
) -> Story:
    columns = columns_of(update_mask, change.model_fields_set)
    return await stories.update(f"stories/{story_id}", change.etag, values_of(change, columns))


def main() -> None:
    described = parser(__doc__)
    described.add_argument("--server", choices=("uvicorn", "granian"), default="uvicorn")
    arguments = described.parse_args()
    flags = Flags.of(arguments)
    flags.to_environment()
    if arguments.server == "granian":
        target = "tests.bench.peers.fastapi_stories:app"
        listen = {"address": flags.host, "port": flags.port}
        Granian(target, **listen, interface=Interfaces.ASGI, loop=Loops.uvloop, workers=1).serve()
    else:
        uvicorn.run(app, host=flags.host, port=flags.port, **UVICORN)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()
