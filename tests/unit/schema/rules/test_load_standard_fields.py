"""Rules 5, 8, 10, 16 and 31: fields whose meaning every API shares."""

from __future__ import annotations

import pytest
from tests.unit.schema.rules.conftest import LIBRARY

from entresol.errors import SchemaError
from entresol.schema.load import load

BEHAVIOR = "(google.api.field_behavior)"
NAME = "  string name = 1 [(google.api.field_behavior) = IDENTIFIER];\n  string theme"
THEME = "  string theme = 2 [(google.api.field_behavior) = OPTIONAL];\n"
UID = "string uid = 2 [(google.api.field_behavior) = OUTPUT_ONLY, (google.api.field_info).format = UUID4];"
CREATED = "google.protobuf.Timestamp create_time = 9 [(google.api.field_behavior) = OUTPUT_ONLY];"
DISPLAY_NAME = "string display_name = 4 [(google.api.field_behavior) = OPTIONAL];"


@pytest.mark.edits((NAME, "  string theme"))
def test_rule_5_a_resource_has_a_name(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-122 Shelf: has no field 'name'"]


@pytest.mark.edits((NAME, NAME.replace("= 1", "= 21")))
def test_rule_5_the_name_is_field_1(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-122 Shelf.name: is field 21"]


@pytest.mark.edits((NAME, NAME.replace("IDENTIFIER", "OUTPUT_ONLY")))
def test_rule_5_the_name_is_the_identifier(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-203 Shelf.name: is not marked as the identifier"]


@pytest.mark.edits((NAME, NAME.replace("string name", "int64 name")))
def test_rule_5_the_name_is_a_string(mistakes: list[str]) -> None:
    assert "AIP-148 Shelf.name: is int64" in mistakes


@pytest.mark.edits((THEME, THEME.replace("OPTIONAL", "IDENTIFIER")))
def test_rule_5_no_other_field_is_an_identifier(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-203 Shelf.theme: is marked as an identifier"]


@pytest.mark.edits(
    (
        "string title = 1 [(google.api.field_behavior) = REQUIRED]",
        "string title = 1 [(google.api.field_behavior) = REQUIRED, (google.api.field_behavior) = IDENTIFIER]",
    )
)
def test_rule_5_no_field_of_another_message_is_an_identifier(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-203 Book.Chapter.title: is marked as an identifier"]


@pytest.mark.edits(('plural: "shelves"', 'plural: "shelves"\n    name_field: "theme"'))
def test_rule_5_the_name_is_in_no_other_field(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-122 Shelf: keeps its name in another field"]


@pytest.mark.edits((THEME, THEME + "  string self_link = 4 [(google.api.field_behavior) = OUTPUT_ONLY];\n"))
def test_rule_8_there_is_no_self_link(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-122 Shelf.self_link: is a second name"]


@pytest.mark.edits((THEME, THEME + "  string shelf_id = 4 [(google.api.field_behavior) = OPTIONAL];\n"))
def test_rule_8_a_second_identifier_is_the_servers(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-122 Shelf.shelf_id: is a second identifier that callers can set"]


@pytest.mark.edits((THEME, THEME + "  int64 id = 4 [(google.api.field_behavior) = OUTPUT_ONLY];\n"))
def test_rule_8_an_id_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-122 Shelf.id: is int64"]


@pytest.mark.edits((UID, UID.replace("OUTPUT_ONLY", "OPTIONAL")))
def test_rule_8_the_uid_is_the_servers(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.uid: is set by the server and not OUTPUT_ONLY"]


@pytest.mark.edits((UID, UID.replace(", (google.api.field_info).format = UUID4", "")))
def test_rule_8_the_uid_is_a_uuid4(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.uid: is not marked as a UUID4"]


@pytest.mark.edits((CREATED, CREATED.replace("OUTPUT_ONLY", "OPTIONAL")))
def test_rule_10_the_server_sets_create_time(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.create_time: is set by the server and not OUTPUT_ONLY"]


@pytest.mark.edits(("google.protobuf.Timestamp update_time", "int64 update_time"))
def test_rule_10_update_time_is_a_timestamp(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.update_time: is int64"]


@pytest.mark.edits(
    (THEME, THEME + "  google.protobuf.Duration expire_time = 4 [(google.api.field_behavior) = OPTIONAL];\n")
)
def test_rule_10_expire_time_is_a_timestamp(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Shelf.expire_time: is google.protobuf.Duration"]


@pytest.mark.edits(("string etag = 12;", "bytes etag = 12;"))
def test_rule_31_the_etag_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.etag: is bytes"]


@pytest.mark.edits(("string etag = 12;", "google.protobuf.StringValue etag = 12;"))
def test_rule_31_the_etag_is_not_wrapped(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.etag: is google.protobuf.StringValue"]


@pytest.mark.edits(("string etag = 12;", f"string etag = 12 [{BEHAVIOR} = OUTPUT_ONLY];"))
def test_rule_31_an_etag_that_would_be_cleared_is_refused(library_set: bytes) -> None:
    with pytest.raises(SchemaError) as error:
        load(library_set)
    (mistake,) = error.value.mistakes
    line = next(n for n, text in enumerate(LIBRARY.splitlines(), 1) if "string etag = 12" in text)
    assert (mistake.file, mistake.line) == ("library.proto", line)
    assert (mistake.rule, mistake.element) == ("AIP-154", "library.v1.Book.etag")
    assert mistake.problem == "is an etag and OUTPUT_ONLY; callers send it back, or leave it out"
    assert mistake.remedy == "remove the behaviour"


@pytest.mark.edits(
    (
        "string etag = 12;",
        f"string etag = 12 [{BEHAVIOR} = REQUIRED, {BEHAVIOR} = IMMUTABLE, {BEHAVIOR} = INPUT_ONLY];",
    )
)
def test_rule_31_every_behaviour_that_makes_no_sense_is_refused(mistakes: list[str]) -> None:
    assert mistakes == [
        f"AIP-154 Book.etag: is an etag and {one}; callers send it back, or leave it out"
        for one in ("IMMUTABLE", "INPUT_ONLY", "REQUIRED")
    ]


@pytest.mark.edits(("string etag = 12;", f"string etag = 12 [{BEHAVIOR} = OPTIONAL];"))
def test_rule_31_an_etag_is_optional_anyway(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(
    (
        "string etag = 2 [(google.api.field_behavior) = OPTIONAL]",
        f"string etag = 2 [{BEHAVIOR} = OUTPUT_ONLY]",
    )
)
def test_rule_36_the_etag_of_a_request_is_the_callers(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-135 DeleteBookRequest.etag: is OUTPUT_ONLY, so what callers send is not read"]


@pytest.mark.edits(
    (DISPLAY_NAME, DISPLAY_NAME.replace("= OPTIONAL", "= OPTIONAL, (google.api.field_behavior) = IMMUTABLE"))
)
def test_rule_10_the_display_name_can_be_changed(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.display_name: cannot be changed by callers"]


@pytest.mark.edits((DISPLAY_NAME, DISPLAY_NAME.replace("string", "bytes")))
def test_rule_10_the_display_name_is_a_string(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.display_name: is bytes"]


@pytest.mark.edits(('{fields: ["title", "create_time desc"]}', '{fields: ["display_name"] unique: true}'))
def test_rule_10_the_display_name_is_not_unique(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.display_name: must be unique"]


@pytest.mark.edits(("map<string, string> annotations", "map<string, int32> annotations"))
def test_rule_10_annotations_are_a_map_of_strings(mistakes: list[str]) -> None:
    assert mistakes == ["AIP-148 Book.annotations: is map<string, int32>"]


@pytest.mark.edits((THEME, THEME + "  int32 effective_theme = 4 [(google.api.field_behavior) = OPTIONAL];\n"))
def test_rule_16_an_effective_field_is_the_servers_word_on_a_field(mistakes: list[str]) -> None:
    assert mistakes == [
        "AIP-129 Shelf.effective_theme: differs in type from 'theme'",
        "AIP-129 Shelf.effective_theme: is not OUTPUT_ONLY",
    ]
