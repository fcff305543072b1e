"""Rules 12 and 14, and references: what resources have to do with each other."""

from __future__ import annotations

import pytest

GET_SHELF = """  rpc GetShelf(GetShelfRequest) returns (Shelf) {
    option (google.api.http) = {get: "/v1/{name=shelves/*}"};
  }
"""
LIST_SHELVES = """  rpc ListShelves(ListShelvesRequest) returns (ListShelvesResponse) {
    option (google.api.http) = {get: "/v1/shelves"};
  }
"""
TO_SHELF = '(google.api.resource_reference).type = "library.example.com/Shelf"'
TO_BOOK = '(google.api.resource_reference).type = "library.example.com/Book"'
SHELF_OF_BOOK = f"shelf = 5 [(google.api.field_behavior) = OPTIONAL, {TO_SHELF}]"
FAVORITE = f"string favorite = 3 [(google.api.field_behavior) = OUTPUT_ONLY, {TO_BOOK}]"
SIZE = "int32 size = 13 [(google.api.field_behavior) = OPTIONAL];"
PAGES = "int32 pages = 2 [(google.api.field_behavior) = OPTIONAL];"


def reference(options: str, *, kind: str = "string", field: str = "shelf") -> str:
    return f"{kind} {field} = 5 [(google.api.field_behavior) = OPTIONAL, {options}]"


def shelf_of_book(options: str, *, kind: str = "string", field: str = "shelf") -> tuple[str, str]:
    return f"string {SHELF_OF_BOOK}", reference(options, kind=kind, field=field)


@pytest.mark.edits(('"library.example.com/Shelf"', '"library.example.com/Book"'))
def test_rule_12_a_type_has_one_message(mistakes: list[str]) -> None:
    assert "AIP-121 Book: type 'library.example.com/Book' is also that of library.v1.Shelf" in mistakes


@pytest.mark.edits((GET_SHELF, ""))
def test_rule_12_get_exists(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-121 Shelf: no service has the method GetShelf"]


@pytest.mark.edits((LIST_SHELVES, ""))
def test_rule_12_list_exists(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-121 Shelf: no service has the method ListShelves"]


@pytest.mark.edits((FAVORITE, FAVORITE.replace("OUTPUT_ONLY", "OPTIONAL")))
def test_rule_12_references_that_callers_set_make_no_circle(mistakes: list[str]) -> None:
    shelf, book = "library.example.com/Shelf", "library.example.com/Book"
    assert mistakes == [
        f"AIP-121 Shelf.favorite: closes a circle of references from {shelf} over {book}",
        f"AIP-121 Book.shelf: closes a circle of references from {book} over {shelf}",
    ]


@pytest.mark.edits(
    (FAVORITE, FAVORITE.replace("OUTPUT_ONLY", "OPTIONAL, (google.api.field_behavior) = IMMUTABLE"))
)
def test_rule_12_an_immutable_reference_may_close_a_circle(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(shelf_of_book('(google.api.resource_reference).type = "library.example.com/Book"'))
def test_rule_12_a_resource_does_not_refer_to_its_own_kind_by_a_field_that_can_change(
    mistakes: list[str],
) -> None:
    book = "library.example.com/Book"
    assert mistakes == [f"AIP-121 Book.shelf: closes a circle of references from {book} over {book}"]


@pytest.mark.edits(
    (
        PAGES,
        PAGES + f"string source = 3 [(google.api.field_behavior) = OPTIONAL, {TO_BOOK}];",
    )
)
def test_rule_12_references_inside_messages_count(mistakes: list[str]) -> None:
    book = "library.example.com/Book"
    assert mistakes == [f"AIP-121 Book.Chapter.source: closes a circle of references from {book} over {book}"]


@pytest.mark.edits(
    (
        'pattern: "shelves/{shelf}"\n',
        'pattern: "shelves/{shelf}"\n    pattern: "shelves/{shelf}/books/{book}/shelves/{inner}"\n',
    )
)
def test_rule_12_parents_make_no_circle(mistakes: list[str]) -> None:
    assert "AIP-121 Shelf: is above itself" in mistakes
    assert "AIP-121 Book: is above itself" in mistakes


SINGLETON = (
    ('pattern: "shelves/{shelf}/books/{book}"', 'pattern: "shelves/{shelf}/book"'),
    ("{name=shelves/*/books/*}", "{name=shelves/*/book}"),
    ("{book.name=shelves/*/books/*}", "{book.name=shelves/*/book}"),
)


@pytest.mark.edits(*SINGLETON)
def test_rule_14_a_singleton_is_neither_created_nor_deleted(mistakes: list[str]) -> None:
    problem = "a singleton is created and deleted with its parent"
    forbidden = ("CreateBook", "BatchCreateBooks", "DeleteBook", "UndeleteBook")
    assert sorted(mistakes) == sorted(f"AIP-156 LibraryService.{name}: {problem}" for name in forbidden)


@pytest.mark.edits(
    ('pattern: "shelves/{shelf}"\n', 'pattern: "shelf"\n'),
    ("{name=shelves/*}", "{name=shelf}"),
    (LIST_SHELVES, ""),
    ("{parent=shelves/*}", "{parent=shelf}"),
    ("shelves/{shelf}/books/{book}", "shelf/books/{book}"),
)
def test_rule_14_a_singleton_needs_no_list(mistakes: list[str]) -> None:
    assert "AIP-121 Shelf: no service has the method ListShelves" not in mistakes


@pytest.mark.edits(
    ('pattern: "shelves/{shelf}"\n', 'pattern: "shelves/{shelf}"\n    pattern: "sites/{site}/shelf"\n')
)
def test_rule_14_a_resource_is_a_singleton_by_all_patterns_or_by_none(mistakes: list[str]) -> None:
    assert "AIP-156 Shelf: is a singleton by one pattern and not by another" in mistakes


@pytest.mark.edits(
    *SINGLETON,
    *(
        (
            f" {name} = {number} [(google.api.field_behavior) = {given}",
            f" {name} = {number} [(google.api.field_behavior) = OUTPUT_ONLY",
        )
        for name, number, given in (
            ("title", 3, "REQUIRED"),
            ("display_name", 4, "OPTIONAL"),
            ("shelf", 5, "OPTIONAL"),
            ("chapters", 6, "OPTIONAL"),
            ("labels", 7, "OPTIONAL"),
            ("annotations", 8, "OPTIONAL"),
            ("size", 13, "OPTIONAL"),
            ("binding", 20, "OPTIONAL"),
        )
    ),
)
def test_rule_14_what_only_the_server_writes_cannot_be_updated(mistakes: list[str]) -> None:
    problem = "every field is OUTPUT_ONLY, so nothing can be updated"
    assert f"AIP-156 LibraryService.UpdateBook: {problem}" in mistakes


UNKNOWN = '(google.api.resource_reference).type = "library.example.com/Rack"'
CLEAR = "(entresol.options.v1.field).on_delete = ON_DELETE_CLEAR"
IGNORE = "(entresol.options.v1.field).on_delete = ON_DELETE_IGNORE"
KNOWN = TO_SHELF


@pytest.mark.edits(shelf_of_book(UNKNOWN))
def test_a_reference_is_to_a_resource_of_the_set(mistakes: list[str]) -> None:
    problem = "refers to 'library.example.com/Rack', which is not kept here"
    assert mistakes == [f"entresol/reference Book.shelf: {problem}"]


@pytest.mark.edits(shelf_of_book(f"{UNKNOWN}, {IGNORE}"))
def test_a_reference_that_nobody_watches_may_be_to_anything(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(shelf_of_book('(google.api.resource_reference).type = "*"'))
def test_a_reference_may_be_to_any_resource(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(
    shelf_of_book(
        '(google.api.resource_reference).type = "*", (entresol.options.v1.field).on_delete = ON_DELETE_CASCADE'
    )
)
def test_a_reference_to_any_resource_cannot_cascade(mistakes: list[str]) -> None:
    problem = "may refer to any resource, so no foreign key can stand on it"
    assert mistakes == [f"entresol/reference Book.shelf: {problem}"]


@pytest.mark.edits(shelf_of_book(KNOWN, kind="repeated string", field="shelves"))
def test_a_list_of_references_is_not_watched(mistakes: list[str]) -> None:
    problem = "is a list of references, on which no foreign key can stand"
    assert mistakes == [f"entresol/reference Book.shelves: {problem}"]


@pytest.mark.edits(shelf_of_book(f"{KNOWN}, {IGNORE}", kind="repeated string", field="shelves"))
def test_a_list_of_references_says_that_it_is_not_watched(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(shelf_of_book(KNOWN, kind="int64"))
def test_a_reference_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-122 Book.shelf: is int64"]


@pytest.mark.edits(
    shelf_of_book(
        '(google.api.resource_reference) = {type: "library.example.com/Shelf" child_type: "library.example.com/Book"}'
    )
)
def test_a_reference_has_a_type_or_a_child_type(mistakes: list[str]) -> None:
    assert "AIP-4231 Book.shelf: has both type and child_type, or neither" in mistakes


@pytest.mark.edits(
    (
        f"string {SHELF_OF_BOOK}",
        f"string shelf = 5 [(google.api.field_behavior) = REQUIRED, {KNOWN}, {CLEAR}]",
    )
)
def test_a_required_reference_cannot_be_cleared(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/reference Book.shelf: is REQUIRED and would be cleared"]


@pytest.mark.edits(shelf_of_book(f"{KNOWN}, {CLEAR}"))
def test_an_optional_reference_can_be_cleared(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(shelf_of_book(CLEAR))
def test_on_delete_needs_a_reference(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/reference Book.shelf: has on_delete and no foreign key"]


@pytest.mark.edits(shelf_of_book(f"{KNOWN}, (entresol.options.v1.field) = {{on_delete: 99}}"))
def test_on_delete_is_a_known_choice(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/reference Book.shelf: on_delete 99 is unknown"]


@pytest.mark.edits(
    (
        "string borrower = 2 [(google.api.field_behavior) = REQUIRED]",
        f"string borrower = 2 [(google.api.field_behavior) = REQUIRED, {UNKNOWN}]",
    )
)
def test_a_reference_in_a_request_is_to_a_known_type(mistakes: list[str]) -> None:
    problem = "refers to the unknown 'library.example.com/Rack'"
    assert mistakes == [f"entresol/reference LendBookRequest.borrower: {problem}"]


@pytest.mark.edits(
    (
        "string borrower = 2 [(google.api.field_behavior) = REQUIRED]",
        f"string borrower = 2 [(google.api.field_behavior) = REQUIRED, {UNKNOWN}]",
    ),
    (
        "message Shelf {",
        'option (google.api.resource_definition) = {type: "library.example.com/Rack" pattern: "racks/{rack}"};'
        "\nmessage Shelf {",
    ),
)
def test_a_type_may_be_defined_without_a_message(mistakes: list[str]) -> None:
    assert mistakes == []
