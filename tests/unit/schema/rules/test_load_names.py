"""Rules 1 to 4, 6 and 8: what `google.api.resource` says."""

from __future__ import annotations

import pytest

SHELF = 'pattern: "shelves/{shelf}"\n'
BOOK = 'pattern: "shelves/{shelf}/books/{book}"\n'


@pytest.mark.edits
def test_the_library_has_no_mistake(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(
    ('type: "library.example.com/Shelf"', 'type: "Shelf"'),
    ('.type = "library.example.com/Shelf"', '.type = "Shelf"'),
)
def test_rule_1_a_type_has_a_service_and_a_name(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-123 Shelf: type 'Shelf' is not <service>/<Type>"]


@pytest.mark.edits(('"library.example.com/Shelf"', '"library.example.com/shelf"'))
def test_rule_1_a_type_is_in_pascal_case(mistakes: list[str]) -> None:
    assert "AIP-123 Shelf: type 'library.example.com/shelf' is not <service>/<Type>" in mistakes


@pytest.mark.edits(("/Shelf", "/Rack"))
def test_rule_1_a_type_ends_with_the_name_of_the_message(mistakes: list[str]) -> None:
    assert "AIP-123 Shelf: type 'library.example.com/Rack' does not end with the message's name" in mistakes


@pytest.mark.edits(('singular: "shelf"', 'singular: "shelves"'))
def test_rule_1_the_singular_is_the_type(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-123 Shelf: singular 'shelves' is not the type in lowerCamelCase"]


@pytest.mark.edits(('plural: "shelves"', 'plural: "the_shelves"'))
def test_rule_2_the_plural_is_in_lower_camel_case(mistakes: list[str]) -> None:
    assert "AIP-123 Shelf: plural 'the_shelves' is not a word in lowerCamelCase" in mistakes


@pytest.mark.edits((BOOK, 'pattern: "shelves/{shelf}/books/{Book}"\n'))
def test_rule_2_pattern_variables_are_in_snake_case(mistakes: list[str]) -> None:
    assert mistakes == [
        "AIP-123 Book: pattern 'shelves/{shelf}/books/{Book}': 'Book' is not a variable's name"
    ]


@pytest.mark.edits((BOOK, 'pattern: "shelves/{shelf}/books/{b}"\n'))
def test_rule_2_pattern_variables_have_two_characters(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-123 Book: pattern 'shelves/{shelf}/books/{b}': 'b' is not a variable's name"]


@pytest.mark.edits((BOOK, 'pattern: "shelves/{shelf}/books/{book_id}"\n'))
def test_rule_2_pattern_variables_have_no_id_suffix(mistakes: list[str]) -> None:
    assert mistakes == [
        "AIP-123 Book: pattern 'shelves/{shelf}/books/{book_id}': variable 'book_id' ends with _id"
    ]


@pytest.mark.edits((BOOK, 'pattern: "shelves/{book}/books/{book}"\n'))
def test_rule_2_a_pattern_has_each_variable_once(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-123 Book: pattern 'shelves/{book}/books/{book}' has the variable '{book}' twice"]


@pytest.mark.edits(("/books/", "/volumes/"))
def test_rule_2_the_last_collection_is_the_plural(mistakes: list[str]) -> None:
    problem = "pattern 'shelves/{shelf}/volumes/{book}' does not end with the plural 'books' and an id"
    assert mistakes == [f"AIP-123 Book: {problem}"]


@pytest.mark.edits(
    ('singular: "book"', 'singular: "shelfBook"'),
    ('plural: "books"', 'plural: "shelfBooks"'),
    ("message Book ", "message ShelfBook "),
    ("/Book", "/ShelfBook"),
    ("(Book)", "(ShelfBook)"),
    ("GetBook", "GetShelfBook"),
    ("ListBooks", "ListShelfBooks"),
    ("repeated Book ", "repeated ShelfBook "),
    ("  Book book = ", "  ShelfBook book = "),
    ('"Book"', '"ShelfBook"'),
)
def test_rule_2_a_nested_collection_may_leave_out_the_name_of_its_parent(mistakes: list[str]) -> None:
    assert [one for one in mistakes if "pattern" in one] == []


@pytest.mark.edits((SHELF, 'pattern: "Shelves/{shelf}"\n'))
def test_rule_3_collections_begin_with_a_small_letter(mistakes: list[str]) -> None:
    assert "AIP-122 Shelf: pattern 'Shelves/{shelf}': 'Shelves' is not a collection" in mistakes


@pytest.mark.edits((SHELF, 'pattern: "/shelves/{shelf}"\n'))
def test_rule_3_a_pattern_begins_with_a_collection(mistakes: list[str]) -> None:
    assert "AIP-122 Shelf: pattern '/shelves/{shelf}': '' is not a collection" in mistakes


@pytest.mark.edits((SHELF, 'pattern: "{shelf}"\n'))
def test_rule_3_a_variable_follows_a_collection(mistakes: list[str]) -> None:
    assert "AIP-122 Shelf: pattern '{shelf}': '{shelf}' is not a collection" in mistakes


@pytest.mark.edits((BOOK, 'pattern: "books/{shelf}/books/{book}"\n'))
def test_rule_3_a_pattern_has_each_collection_once(mistakes: list[str]) -> None:
    assert "AIP-122 Book: pattern 'books/{shelf}/books/{book}' has the collection 'books' twice" in mistakes


@pytest.mark.edits((BOOK, BOOK + 'pattern: "shelves/{rack}/books/{volume}"\n'))
def test_rule_4_patterns_differ_without_their_variables(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-123 Book: two patterns are both 'shelves/*/books/*' without their variables"]


@pytest.mark.edits((BOOK, ""))
def test_rule_4_a_resource_has_a_pattern(mistakes: list[str]) -> None:
    assert "AIP-123 Book: has no pattern" in mistakes


@pytest.mark.edits((BOOK, 'pattern: "*"\n'))
def test_rule_4_a_kept_resource_has_a_pattern_of_its_own(mistakes: list[str]) -> None:
    assert "AIP-122 Book: pattern '*': '*' is not a collection" in mistakes


@pytest.mark.edits(
    (BOOK, 'pattern: "shelves/{book}"\n'),
    ('plural: "books"', 'plural: "shelves"'),
)
def test_rule_6_a_name_belongs_to_one_type(mistakes: list[str]) -> None:
    problem = "pattern 'shelves/{book}' cannot be told from one of library.example.com/Shelf"
    assert f"AIP-122 Book: {problem}" in mistakes


@pytest.mark.edits((BOOK, 'pattern: "shelves/{shelf}/books/{author}~{book}"\n'))
def test_rule_8_an_id_is_not_made_of_two(mistakes: list[str]) -> None:
    problem = "pattern 'shelves/{shelf}/books/{author}~{book}': '{author}~{book}' is not one variable"
    assert f"AIP-122 Book: {problem}" in mistakes
