"""Rules 11 and 13: behaviours of fields, plural names, and no resource inside another."""

from __future__ import annotations

import pytest

PAGES = "int32 pages = 2 [(google.api.field_behavior) = OPTIONAL];"
SIZE = "int32 size = 13 [(google.api.field_behavior) = OPTIONAL];"
BORROWER = "string borrower = 2 [(google.api.field_behavior) = REQUIRED];"


@pytest.mark.edits((BORROWER, "string borrower = 2;"))
def test_rule_11_a_field_of_a_request_says_whether_it_is_required(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-203 LendBookRequest.borrower: says neither REQUIRED, OPTIONAL nor OUTPUT_ONLY"]


@pytest.mark.edits((PAGES, "int32 pages = 2;"))
def test_rule_11_a_field_of_a_message_in_a_request_says_it_too(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-203 Book.Chapter.pages: says neither REQUIRED, OPTIONAL nor OUTPUT_ONLY"]


@pytest.mark.edits((SIZE, SIZE.replace("OPTIONAL", "IMMUTABLE")))
def test_rule_11_immutable_alone_does_not_say_it(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-203 Book.size: says neither REQUIRED, OPTIONAL nor OUTPUT_ONLY"]


@pytest.mark.edits((SIZE, SIZE.replace("OPTIONAL", "FIELD_BEHAVIOR_UNSPECIFIED")))
def test_rule_11_unspecified_is_refused(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-203 Book.size: has the behaviour FIELD_BEHAVIOR_UNSPECIFIED"]


@pytest.mark.edits(
    ("google.protobuf.Timestamp due_time = 1;", "google.protobuf.Timestamp due_time = 1; int32 fee = 2;")
)
def test_rule_11_responses_need_not_say_it(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(("repeated string labels", "repeated string label"))
def test_rule_13_repeated_fields_are_plural(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-144 Book.label: is repeated and its name is not plural"]


@pytest.mark.edits(("repeated string labels", "repeated string address"))
def test_rule_13_a_word_in_double_s_is_no_plural(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-144 Book.address: is repeated and its name is not plural"]


@pytest.mark.edits(("repeated string labels", "repeated string former_children"))
def test_rule_13_some_plurals_do_not_end_in_s(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits((SIZE, SIZE + "\n  repeated Shelf shelves = 14 [(google.api.field_behavior) = OPTIONAL];"))
def test_rule_13_no_resource_holds_another_one(mistakes: list[str]) -> None:
    assert "AIP-144 Book.shelves: holds the resource 'library.example.com/Shelf' itself" in mistakes


@pytest.mark.edits((PAGES, PAGES + "\n    Book source = 3 [(google.api.field_behavior) = OPTIONAL];"))
def test_rule_13_nor_does_a_message_inside_it(mistakes: list[str]) -> None:
    assert "AIP-144 Book.Chapter.source: holds the resource 'library.example.com/Book' itself" in mistakes


@pytest.mark.edits(
    (SIZE, SIZE + "\n  map<string, Shelf> others = 14 [(google.api.field_behavior) = OPTIONAL];")
)
def test_rule_13_nor_does_a_map(mistakes: list[str]) -> None:
    assert "AIP-144 Book.others: holds the resource 'library.example.com/Shelf' itself" in mistakes
