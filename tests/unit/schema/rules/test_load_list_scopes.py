"""List scopes: over what the relay can be told of, before a change and after it."""

from __future__ import annotations

import pytest

from entresol.schema.list_scopes import identity_columns
from entresol.schema.load import load
from entresol.schema.model import ListScope

BOOK_INDEX = '    indexes: [{fields: ["title", "create_time desc"]}]\n'
RULE = "entresol/list-scope Book: "
OPTIONAL_SHELF = "string shelf = 5 [(google.api.field_behavior) = OPTIONAL,"


def scopes(text: str) -> tuple[str, str]:
    return BOOK_INDEX, f"{BOOK_INDEX}    list_scopes: [{text}]\n"


@pytest.mark.edits(scopes('{}, {fields: ["title", "size"] ttl: {seconds: 5}}'))
def test_scopes_are_what_the_proto_says(library_set: bytes) -> None:
    book = load(library_set).resources["library.example.com/Book"]
    assert book.list_scopes == (ListScope((), 3600.0), ListScope(("title", "size"), 5.0))
    assert identity_columns(book) == ("title", "size")


@pytest.mark.edits(
    scopes('{fields: ["shelf"]}'), (OPTIONAL_SHELF, OPTIONAL_SHELF.replace("OPTIONAL", "REQUIRED"))
)
def test_a_required_reference_of_a_scope_is_never_null(library_set: bytes) -> None:
    shelf = load(library_set).resources["library.example.com/Book"].by_name["shelf"]
    assert shelf.column is not None
    assert not shelf.column.nullable


@pytest.mark.edits(scopes('{fields: ["shelf"]}'))
def test_a_reference_that_may_be_empty_is_in_no_scope(mistakes: list[str]) -> None:
    assert mistakes == [f"{RULE}list scope over 'shelf': its column may hold nulls"]


@pytest.mark.edits(scopes('{fields: ["chapters", "labels", "create_time", "etag", "pages"]}'))
def test_a_scope_is_over_plain_stored_fields(mistakes: list[str]) -> None:
    assert mistakes == [
        f"{RULE}list scope over 'chapters': a filter cannot pin it in a column of type jsonb",
        f"{RULE}list scope over 'create_time': a filter cannot pin it in a column of type timestamptz",
        f"{RULE}list scope over 'etag': the field is computed and has no column",
        f"{RULE}list scope over 'labels': a filter cannot pin it in a column of type text[]",
        f"{RULE}list scope over 'pages': there is no such field",
    ]


@pytest.mark.edits(
    scopes('{fields: ["size"]}'),
    (
        "int32 size = 13 [(google.api.field_behavior) = OPTIONAL]",
        'int32 size = 13 [(google.api.field_behavior) = OPTIONAL, (entresol.options.v1.field).column_type = "numeric"]',
    ),
)
def test_a_column_whose_equal_values_have_several_texts_is_in_no_scope(mistakes: list[str]) -> None:
    assert mistakes == [f"{RULE}list scope over 'size': a filter cannot pin it in a column of type numeric"]


@pytest.mark.edits(
    scopes('{fields: ["title", "size"]}, {fields: ["size", "title"]}, {fields: ["size", "size"]}')
)
def test_a_scope_is_declared_once_and_names_a_field_once(mistakes: list[str]) -> None:
    assert mistakes == [
        f"{RULE}a list scope has the field 'size' twice",
        f"{RULE}two list scopes have the fields ['size', 'title']",
    ]


@pytest.mark.edits(scopes("{ttl: {}}"))
def test_lists_live_for_a_while(mistakes: list[str]) -> None:
    assert mistakes == [f"{RULE}the ttl of a list scope is 0 seconds"]


@pytest.mark.edits((BOOK_INDEX, "    cache: {disabled: true}\n    list_scopes: [{}]\n"))
def test_what_is_not_cached_has_no_cached_lists(mistakes: list[str]) -> None:
    assert mistakes == [f"{RULE}has list_scopes and no cache"]
