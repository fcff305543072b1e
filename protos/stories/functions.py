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


# A page is told as browsers send it; what is no address with a plain host is nobody's.
entresol.batch(
    "referrers",
    method="stories.v1.ReferrerService.CountReferrers",
    source="stories.v1.Click",
    columns=["referrer"],
    window="create_time",
    map="""
        WITH addresses AS (
            SELECT regexp_replace(referrer, '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#@]*@)?', '') AS address
            FROM input WHERE referrer ~ '^[a-zA-Z][a-zA-Z0-9+.-]*://'
        ), hosts AS (
            SELECT split_part(split_part(split_part(split_part(address, '/', 1), '?', 1), '#', 1), ':', 1) AS host
            FROM addresses
        ), plain AS (
            SELECT regexp_replace(lower(host), '^www[.]', '') AS host FROM hosts
            WHERE host ~ '^[a-zA-Z0-9.-]{1,253}$'
        )
        SELECT host, count(*) AS visits FROM plain WHERE host ~ '[a-z0-9]' GROUP BY host
    """,
    reduce="""
        SELECT 'days/' || key || '/referrers/' || host AS name, sum(visits) AS visits
        FROM mapped, run GROUP BY key, host
    """,
    result="stories.v1.Referrer",
    scope="days/{key}",
)
entresol.schedule("referrers", "stories.v1.ReferrerService.CountReferrers", "10 0 * * *")
