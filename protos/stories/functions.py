"""What the news site does beside the standard methods: votes, visits by site, and what to read next."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import entresol

UP = 1
CLICKS_OF_USER = 20  # whose suggestions are joined: as many Gets, answered by the cache
STORIES_SUGGESTED = 10


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


# Whose clicks tell nothing of others is left out early: of each visitor, the 20 stories that were followed last, which
# is 380 pairs at most, however many a crawler follows; of pairs, those that two visitors have in common. Weights are
# whole numbers, so that a little more traffic changes few records.
entresol.batch(
    "suggestions",
    method="stories.v1.SuggestionService.RelateStories",
    source="stories.v1.Click",
    columns=["name", "visitor", "create_time"],
    where="visitor IS NOT NULL",
    window="create_time",
    days=7,
    map="""
        SELECT visitor, split_part(name, '/', 2) AS story, max(create_time) AS last_time
        FROM input GROUP BY visitor, split_part(name, '/', 2)
    """,
    reduce="""
        WITH followed AS (
            SELECT visitor, story, max(last_time) AS last_time FROM mapped GROUP BY visitor, story
        ), placed AS (
            SELECT visitor, story, row_number() OVER (PARTITION BY visitor ORDER BY last_time DESC, story) AS place
            FROM followed
        ), kept AS (
            SELECT visitor, story FROM placed WHERE place <= 20
        ), visits AS (
            SELECT story, count(*) AS visitors FROM kept GROUP BY story
        ), pairs AS (
            SELECT one.story AS story, other.story AS near, count(*) AS visitors
            FROM kept AS one JOIN kept AS other ON one.visitor = other.visitor AND one.story <> other.story
            GROUP BY one.story, other.story HAVING count(*) > 1
        ), weighed AS (
            SELECT pairs.story AS story, near, pairs.visitors AS visitors, CAST(floor(
                1000 * pairs.visitors / sqrt(CAST(one.visitors * other.visitors AS double precision))
            ) AS integer) AS weight
            FROM pairs JOIN visits AS one ON one.story = pairs.story JOIN visits AS other ON other.story = near
        ), ranked AS (
            SELECT story, near, weight,
                row_number() OVER (PARTITION BY story ORDER BY weight DESC, visitors DESC, near) AS place
            FROM weighed
        )
        SELECT 'suggestions/' || story AS name, array_agg('stories/' || near ORDER BY place) AS stories,
            array_agg(weight ORDER BY place) AS weights
        FROM ranked WHERE place <= 10 GROUP BY story
    """,
    result="stories.v1.Suggestion",
)
entresol.schedule("suggestions", "stories.v1.SuggestionService.RelateStories", "30 0 * * *")


@entresol.method("stories.v1.SuggestionService.SuggestStories")
async def suggest_stories(request: Any, context: entresol.Context) -> Any:
    """Join the suggestions of the stories that a user followed last; what is deleted meanwhile is passed over."""
    clicks = await context.list(
        "stories.v1.Click",
        parent="stories/-",
        filter=f'visitor = "{request.user}"',
        order_by="create_time desc",
        page_size=CLICKS_OF_USER,
    )
    followed = list(dict.fromkeys(click.name.rpartition("/clicks/")[0] for click in clicks))
    names = [f"suggestions/{story.removeprefix('stories/')}" for story in followed]
    weights: Counter[str] = Counter()
    for suggestion in await _there(context, "stories.v1.Suggestion", names):
        weights.update(dict(zip(suggestion.stories, suggestion.weights, strict=True)))
    for story in followed:
        weights.pop(story, None)
    count = request.count or STORIES_SUGGESTED
    nearest = sorted(weights, key=lambda story: (-weights[story], story))
    # Some more than are asked for, because one or the other may be deleted; what may still come back is shown by Get.
    found = await _there(context, "stories.v1.Story", nearest[: 2 * count])
    stories = [story for story in found if not story.HasField("delete_time")]
    return context.new("stories.v1.SuggestStoriesResponse", stories=stories[:count])


async def _there(context: entresol.Context, message: str, names: list[str]) -> list[Any]:
    """Return those of the records that there are, in order, all asked for at once."""
    found = await asyncio.gather(*(context.get(message, name) for name in names), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, entresol.NotFoundError):
            raise one
    return [one for one in found if not isinstance(one, BaseException)]
