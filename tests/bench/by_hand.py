"""Get and Update of stories by hand, on the platform's own primitives: what the standard methods may cost beside it."""

from __future__ import annotations

from typing import Any

import entresol


@entresol.method("stories.v1.StoryService.GetStory", replaces=True)
async def get_story(request: Any, context: entresol.Context) -> Any:
    """Return a story through the cache."""
    return await context.get("stories.v1.Story", request.name)


@entresol.method("stories.v1.StoryService.UpdateStory", replaces=True)
async def update_story(request: Any, context: entresol.Context) -> bytes:
    """Set the fields of the mask."""
    stories = context.resource("stories.v1.Story")
    fields = tuple(stories.by_name[path] for path in request.update_mask.paths)
    async with context.transaction() as transaction:
        row = await transaction.update(stories, request.story, fields, version=None, live=True)
    return row.message
