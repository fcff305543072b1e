"""Rule 19: what breaks the callers of an API."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.breaking import compare
from entresol.schema.load import load
from entresol.schema.model import Model

THEME = "string theme = 2 [(google.api.field_behavior) = OPTIONAL]"
SIZE = "int32 size = 13 [(google.api.field_behavior) = OPTIONAL];"
BOOK_PATTERN = 'pattern: "shelves/{shelf}/books/{book}"\n'
LEND = '{post: "/v1/{name=shelves/*/books/*}:lend" body: "*"}'
PRINT = """  rpc PrintBook(PrintBookRequest) returns (google.longrunning.Operation) {
    option (google.api.http) = {post: "/v1/{name=shelves/*/books/*}:print" body: "*"};
    option (google.longrunning.operation_info) = {response_type: "Book" metadata_type: "LendBookResponse"};
  }
"""
BORROWER = "string borrower = 2 [(google.api.field_behavior) = REQUIRED];"
DUE = "google.protobuf.Timestamp due_time = 1;"


@pytest.mark.edits
def test_rule_19_nothing_breaks_when_nothing_changes(changes: list[str]) -> None:
    assert changes == []


@pytest.mark.edits(
    (
        SIZE,
        SIZE
        + "string color = 14 [(google.api.field_behavior) = OPTIONAL]; enum Form { FORM_UNSPECIFIED = 0; }",
    ),
    (BOOK_PATTERN, BOOK_PATTERN + 'pattern: "sites/{site}/books/{book}"\n'),
    (DUE, DUE + "int32 fee = 2;"),
)
def test_rule_19_additions_break_nothing(changes: list[str]) -> None:
    assert changes == []


@pytest.mark.edits(("LendBookResponse", "Loan"))
def test_rule_19_a_message_is_not_renamed(changes: list[str]) -> None:
    assert "AIP-180 LendBookResponse: was removed or renamed" in changes


@pytest.mark.edits((SIZE, ""))
def test_rule_19_a_field_is_not_removed(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: field 13 was removed"]


@pytest.mark.edits((SIZE, SIZE.replace("size", "width")))
def test_rule_19_a_field_is_not_renamed(changes: list[str]) -> None:
    assert changes == [
        "AIP-180 Book.width: its JSON name was 'size' and is 'width'",
        "AIP-180 Book.width: its name was 'size' and is 'width'",
    ]


@pytest.mark.edits((SIZE, SIZE.replace("int32", "int64")))
def test_rule_19_a_field_keeps_its_type(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: its type was 'int32' and is 'int64'"]


@pytest.mark.edits((SIZE, SIZE.replace("int32 size", "repeated int32 sizes")))
def test_rule_19_a_field_does_not_become_repeated(changes: list[str]) -> None:
    assert "AIP-180 Book.sizes: its type was 'int32' and is 'repeated int32'" in changes


@pytest.mark.edits((SIZE, SIZE.replace("= OPTIONAL", '= OPTIONAL, json_name = "width"')))
def test_rule_19_a_field_keeps_its_json_name(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: its JSON name was 'size' and is 'width'"]


@pytest.mark.edits((SIZE, f"oneof measure {{ {SIZE} }}"))
def test_rule_19_a_field_does_not_move_into_a_oneof(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: its oneof was '' and is 'measure'"]


@pytest.mark.edits((SIZE, f"optional {SIZE}"))
def test_rule_19_a_field_keeps_its_presence(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: its presence was 'implicit' and is 'explicit'"]


@pytest.mark.edits((BORROWER, BORROWER + " string city = 3 [(google.api.field_behavior) = REQUIRED];"))
def test_rule_19_a_new_field_is_not_required(changes: list[str]) -> None:
    assert changes == ["AIP-180 LendBookRequest.city: is new and REQUIRED"]


@pytest.mark.edits((SIZE, SIZE.replace("OPTIONAL", "REQUIRED")))
def test_rule_19_a_field_does_not_become_required(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: became REQUIRED"]


@pytest.mark.edits((SIZE, SIZE.replace("= OPTIONAL", "= OPTIONAL, (google.api.field_behavior) = IMMUTABLE")))
def test_rule_19_a_field_does_not_become_immutable(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: became IMMUTABLE"]


@pytest.mark.edits((SIZE, SIZE.replace("OPTIONAL", "OUTPUT_ONLY")))
def test_rule_19_a_field_that_callers_set_does_not_become_output_only(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: became OUTPUT_ONLY"]


@pytest.mark.edits((SIZE, SIZE.replace("= OPTIONAL", "= OPTIONAL, (google.api.field_behavior) = INPUT_ONLY")))
def test_rule_19_a_field_does_not_become_input_only(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.size: became INPUT_ONLY"]


@pytest.mark.edits((DUE, DUE.replace("= 1", "= 1 [(google.api.field_behavior) = OUTPUT_ONLY]")))
def test_rule_19_a_field_of_a_response_may_become_output_only(changes: list[str]) -> None:
    assert changes == []


@pytest.mark.edits(("BINDING_CLOTH = 2", "BINDING_LINEN = 2"))
def test_rule_19_a_value_of_an_enum_is_not_renamed(changes: list[str]) -> None:
    assert changes == ["AIP-180 Book.Binding: value BINDING_CLOTH = 2 was removed, renamed or numbered anew"]


FAVORITE = "string favorite = 3 [(google.api.field_behavior) = OUTPUT_ONLY, (google.api.resource_reference)"


@pytest.mark.edits(
    (FAVORITE, FAVORITE.replace("OUTPUT_ONLY", "OPTIONAL")),
    (
        "string shelf = 5 [(google.api.field_behavior) = OPTIONAL",
        "string shelf = 5 [(google.api.field_behavior) = OUTPUT_ONLY",
    ),
)
def test_rule_19_a_field_remains_output_only(changes: list[str]) -> None:
    assert "AIP-180 Shelf.favorite: is no longer OUTPUT_ONLY" in changes


@pytest.mark.edits((LEND, LEND.replace(":lend", ":loan")))
def test_rule_19_a_method_is_called_as_before(changes: list[str]) -> None:
    problem = "is no longer called by POST /v1/{name=shelves/*/books/*}:lend with the body '*'"
    assert changes == [f"AIP-180 LibraryService.LendBook: {problem}"]


@pytest.mark.edits(
    (
        LEND,
        LEND.replace("post", "additional_bindings: {post")
        .replace("}:lend", "}:lend")
        .replace('"*"}', '"*"} post: "/v1/{name=shelves/*/books/*}:loan" body: "*"}'),
    )
)
def test_rule_19_a_method_may_be_called_in_a_new_way_too(changes: list[str]) -> None:
    assert changes == []


@pytest.mark.edits((PRINT, ""))
def test_rule_19_a_method_is_not_removed(changes: list[str]) -> None:
    assert changes == ["AIP-180 LibraryService.PrintBook: was removed or renamed"]


@pytest.mark.edits(
    (
        "rpc LendBook(LendBookRequest) returns (LendBookResponse)",
        "rpc LendBook(LendBookRequest) returns (stream Book)",
    )
)
def test_rule_19_a_method_keeps_its_response(changes: list[str]) -> None:
    assert changes == [
        "AIP-180 LibraryService.LendBook: its response stream was False and is True",
        "AIP-180 LibraryService.LendBook: its response was library.v1.LendBookResponse and is library.v1.Book",
    ]


@pytest.mark.edits(('response_type: "Book"', 'response_type: "Shelf"'))
def test_rule_19_an_operation_keeps_its_types(changes: list[str]) -> None:
    assert changes == [
        "AIP-180 LibraryService.PrintBook: its operation's response_type was 'Book' and is 'Shelf'"
    ]


@pytest.mark.edits((DUE, DUE + "string next_page_token = 2;"))
def test_rule_19_pages_are_not_added_later(changes: list[str]) -> None:
    assert changes == ["AIP-180 LibraryService.LendBook: answers in pages, which its callers do not ask for"]


@pytest.mark.edits(
    (
        '    indexes: [{fields: ["theme"]}]\n',
        '    indexes: [{fields: ["theme"]}]\n    default_page_size: 10\n',
    )
)
def test_rule_19_the_default_page_size_stays(changes: list[str]) -> None:
    assert changes == ["AIP-180 Shelf: its default page size was 50 and is 10"]


@pytest.mark.edits(("library.example.com", "books.example.com"))
def test_rule_19_a_resource_keeps_its_type(changes: list[str]) -> None:
    assert changes == [
        "AIP-123 Shelf: its type was 'library.example.com/Shelf' and is 'books.example.com/Shelf'",
        "AIP-123 Book: its type was 'library.example.com/Book' and is 'books.example.com/Book'",
    ]


@pytest.mark.edits((BOOK_PATTERN, 'pattern: "sites/{site}/books/{book}"\n' + BOOK_PATTERN))
def test_rule_4_patterns_are_only_appended(changes: list[str]) -> None:
    old = "['shelves/{shelf}/books/{book}']"
    new = "['sites/{site}/books/{book}', 'shelves/{shelf}/books/{book}']"
    assert changes == [f"AIP-123 Book: its patterns were {old} and are {new}"]


def model(folder: Path, files: dict[str, str]) -> Model:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(f'syntax = "proto3";\n{text}', encoding="utf-8")
    return load(compile_protos(folder))


def test_rule_19_a_message_does_not_move_to_another_file(tmp_path: Path) -> None:
    old = model(
        tmp_path / "old", {"one.proto": "package a.v1;\nmessage Page {}", "two.proto": "package a.v1;"}
    )
    new = model(
        tmp_path / "new", {"one.proto": "package a.v1;", "two.proto": "package a.v1;\nmessage Page {}"}
    )
    gone, changed = compare(old, new)
    assert gone == ()
    assert [str(one) for one in changed] == [
        "two.proto:3: a.v1.Page: was moved here from one.proto; move it back [AIP-180]"
    ]


def test_rule_19_what_is_gone_is_named_by_its_old_line(tmp_path: Path) -> None:
    old = model(tmp_path / "old", {"one.proto": "package a.v1;\n\n\nmessage Page {}"})
    new = model(tmp_path / "new", {"one.proto": "package a.v1;"})
    gone, changed = compare(old, new)
    assert changed == ()
    assert [(one.file, one.line) for one in gone] == [("one.proto", 5)]


def test_rule_19_a_beta_may_change_as_it_likes(tmp_path: Path) -> None:
    old = model(tmp_path / "old", {"one.proto": "package a.v1beta1;\nmessage Page {}"})
    new = model(tmp_path / "new", {"one.proto": "package a.v1beta1;"})
    assert compare(old, new) == ((), ())
