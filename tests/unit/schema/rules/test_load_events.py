"""Events: what is written once, and dropped by the day, has nothing that changes it or hangs on it."""

from __future__ import annotations

import pytest

OPTIONS = '    indexes: [{fields: ["title", "create_time desc"]}]\n    search_fields: ["title"]\n    soft_delete: {}\n'
WHOLE = "events: {} cache: {disabled: true} id_source: ID_SOURCE_SERVER\n"
CREATE_TIME = "  google.protobuf.Timestamp create_time = 9 [(google.api.field_behavior) = OUTPUT_ONLY];\n"
SHELF = '(google.api.resource_reference).type = "library.example.com/Shelf"];\n  repeated Chapter'
OTHER = SHELF.replace("]", ", (entresol.options.v1.field).on_delete = ON_DELETE_CLEAR]", 1)
SIZE = "int32 size = 13 [(google.api.field_behavior) = OPTIONAL]"
WIDE = SIZE.replace("]", ', (entresol.options.v1.field).column_type = "numeric(9,2)"]')
PAGE = """message Page {
  option (google.api.resource) = {
    type: "library.example.com/Page"
    pattern: "shelves/{shelf}/books/{book}/pages/{page}"
    singular: "page"
    plural: "pages"
  };
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
}

service LibraryService {"""


def about(mistakes: list[str], element: str = "Book: ") -> list[str]:
    found = [mistake for mistake in mistakes if mistake.startswith(f"entresol/events {element}")]
    return [mistake.removeprefix(f"entresol/events {element}") for mistake in found]


@pytest.mark.edits((OPTIONS, f'indexes: [{{fields: ["title"] unique: true}}] soft_delete: {{}} {WHOLE}'))
def test_every_mistake_is_told_where_it_is(mistakes: list[str]) -> None:
    assert sorted(about(mistakes, "")) == [
        "Book.delete_time: is of no use: an event is never changed",
        "Book.update_time: is of no use: an event is never changed",
        "Book: an event is never changed, and soft_delete marks it",
        "Book: what is kept by the day cannot be unique over all days",
        "LibraryService.DeleteBook: changes an event, which is written once",
        "LibraryService.UndeleteBook: changes an event, which is written once",
        "LibraryService.UpdateBook: changes an event, which is written once",
        "Shelf.favorite: refers to library.v1.Book, which is dropped with its day",
    ]


@pytest.mark.edits((OPTIONS, "events: {kept_days: -1}\n"), (CREATE_TIME, ""))
def test_an_event_needs_ids_and_a_time_of_the_server_and_no_cache(mistakes: list[str]) -> None:
    assert about(mistakes) == [
        "an event's id tells its day, and callers may choose it",
        "days are dropped without the cache being told",
        "events.kept_days is -1",
        "has no create_time, by which its days are kept",
    ]


@pytest.mark.edits((OPTIONS, WHOLE), ("service LibraryService {", PAGE))
def test_an_event_is_no_parent(mistakes: list[str]) -> None:
    assert about(mistakes) == ["library.v1.Page has it as its parent, which is dropped with its day"]


@pytest.mark.edits((OPTIONS, WHOLE), (SHELF, OTHER), (SIZE, WIDE))
def test_a_caller_is_told_what_he_sent(mistakes: list[str]) -> None:
    assert about(mistakes, "Book.shelf: ") == ["would be cleared, and an event is never changed"]
    assert about(mistakes, "Book.size: ") == ["has a column_type, and callers are told what they sent"]
