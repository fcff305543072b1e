"""The stories domain loads without a mistake and gives the model that everything else is tested with."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import CachePolicy, Consistency, IdSource, Index, MethodKind, Model, OnDelete, Role

PROTOS = Path(__file__).parents[3] / "protos"


@pytest.fixture(scope="module")
def stories() -> Model:
    return load(compile_protos(PROTOS))


def test_its_tables(stories: Model) -> None:
    assert set(stories.by_table) >= {"users", "stories", "comments", "votes", "clicks"}


def test_its_columns(stories: Model) -> None:
    columns = [field.column for field in stories.by_table["stories"].stored if field.column is not None]
    assert [(one.name, one.type) for one in columns] == [
        ("name", "text"),
        ("uid", "text"),
        ("title", "text"),
        ("url", "text"),
        ("text", "text"),
        ("author", "text"),
        ("score", "integer"),
        ("comment_count", "integer"),
        ("kind", "integer"),
        ("tags", "text[]"),
        ("annotations", "jsonb"),
        ("post_time", "timestamptz"),
        ("create_time", "timestamptz"),
        ("update_time", "timestamptz"),
        ("delete_time", "timestamptz"),
        ("purge_time", "timestamptz"),
    ]


def test_its_parents_and_children(stories: Model) -> None:
    story, comment = stories.by_table["stories"], stories.by_table["comments"]
    assert comment.parents == ("stories.entresol.dev/Story",)
    assert {kind.rpartition("/")[2] for kind in story.children} == {"Comment", "Vote", "Click"}
    assert not story.has_parent
    assert comment.has_parent


def test_its_indexes(stories: Model) -> None:
    assert stories.by_table["stories"].indexes == (
        Index("stories_score_idx", (("score", True),), unique=False),
        Index("stories_post_time_idx", (("post_time", True),), unique=False),
        Index("stories_author_post_time_idx", (("author", False), ("post_time", True)), unique=False),
    )


def test_its_policies(stories: Model) -> None:
    story, click = stories.by_table["stories"], stories.by_table["clicks"]
    assert story.cache == CachePolicy(enabled=True, ttl_s=3600.0, negative_ttl_s=30.0)
    assert story.soft_delete_retention_s == 2592000.0
    assert story.consistency is Consistency.BOUNDED
    assert story.search_fields == ("title", "text")
    assert (story.page_size_default, story.page_size_max) == (50, 1000)
    assert [column.name for column in story.server_columns] == ["moderation_note"]
    assert not click.cache.enabled
    assert click.id_source is IdSource.SERVER
    assert not click.soft_delete


def test_its_references(stories: Model) -> None:
    comment = stories.by_table["comments"]
    reply_to, author = comment.by_name["reply_to"].reference, comment.by_name["author"].reference
    assert reply_to is not None
    assert author is not None
    assert (reply_to.type, reply_to.on_delete) == ("stories.entresol.dev/Comment", OnDelete.CLEAR)
    assert (author.type, author.on_delete) == ("stories.entresol.dev/User", OnDelete.RESTRICT)


def test_its_standard_fields(stories: Model) -> None:
    assert set(stories.by_table["stories"].by_role) == set(Role) - {Role.EXPIRE_TIME}


def test_its_methods(stories: Model) -> None:
    service = stories.services["stories.v1.StoryService"]
    assert [(one.full_name.rpartition(".")[2], one.kind) for one in service.methods[:9]] == [
        ("GetStory", MethodKind.GET),
        ("BatchGetStories", MethodKind.BATCH_GET),
        ("ListStories", MethodKind.LIST),
        ("CreateStory", MethodKind.CREATE),
        ("BatchCreateStories", MethodKind.BATCH_CREATE),
        ("UpdateStory", MethodKind.UPDATE),
        ("DeleteStory", MethodKind.DELETE),
        ("UndeleteStory", MethodKind.UNDELETE),
        ("VoteStory", MethodKind.CUSTOM),
    ]


def test_a_standard_method_knows_its_resource_and_the_field_that_carries_it(stories: Model) -> None:
    methods = stories.methods
    create = methods["/stories.v1.StoryService/CreateStory"]
    listing = methods["/stories.v1.CommentService/ListComments"]
    assert create.resource is stories.by_table["stories"]
    assert create.resource_field == "story"
    assert listing.resource_field == "comments"
    assert methods["/stories.v1.StoryService/VoteStory"].resource is None


def test_reads_are_safe_to_repeat(stories: Model) -> None:
    safe = {one.kind for one in stories.methods.values() if one.idempotent and one.resource is not None}
    assert safe == {MethodKind.GET, MethodKind.BATCH_GET, MethodKind.LIST}
    assert stories.methods["/stories.v1.SuggestionService/SuggestStories"].idempotent  # as its proto says
