"""The one method of the news site that is not standard: a vote."""

from __future__ import annotations

from typing import Any

import entresol

UP = 1


@entresol.method("stories.v1.StoryService.VoteStory")
async def vote_story(request: Any, context: entresol.Context) -> bytes:
    """Count a user's vote for a story, at most one a user: a second one replaces the first."""
    stories, votes = context.resource("stories.v1.Story"), context.resource("stories.v1.Vote")
    weight = 1 if request.direction == UP else -1
    voter = request.voter.removeprefix("users/")
    name = f"{request.name}/votes/{voter}"
    async with context.transaction() as transaction:
        story = await transaction.get(stories, request.name, lock=True)
        if story is None:
            raise entresol.NotFoundError(request.name)
        changed: Any = stories.message_class.FromString(story.message)
        if changed.HasField("delete_time"):  # a transaction shows what is deleted and may still come back
            raise entresol.NotFoundError(request.name)
        before = await transaction.get(votes, name, lock=True)
        vote = context.new("stories.v1.Vote", name=name, voter=request.voter, direction=request.direction)
        if before is None:
            await transaction.insert(votes, [vote])
        else:
            old = votes.message_class.FromString(before.message)
            weight -= 1 if old.direction == UP else -1  # type: ignore[attr-defined]  # the class is made from the proto
            await transaction.update(votes, vote, (votes.by_name["direction"],), version=None)
        changed.score += weight
        row = await transaction.update(stories, changed, (stories.by_name["score"],), version=story.version)
    return row.message
