"""Loading as a whole: every mistake at once, each with its place; and sets that are no sets."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from entresol.codegen.protos import compile_protos
from entresol.errors import SchemaError
from entresol.schema.load import load

TEN_MISTAKES = """\
syntax = "proto3";

package garden.v1;

import "entresol/options/v1/options.proto";
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "google/protobuf/timestamp.proto";

message Plant {
  option (google.api.resource) = {
    type: "garden.example.com/Plant"
    pattern: "plants/{plant_id}"
    singular: "plant"
    plural: "plants"
  };
  option (entresol.options.v1.resource) = {
    indexes: [{fields: ["height"]}]
    search_fields: ["age"]
  };

  string name = 2 [(google.api.field_behavior) = IDENTIFIER];
  int32 age = 3 [(google.api.field_behavior) = OPTIONAL];
  repeated string color = 4 [(google.api.field_behavior) = OPTIONAL];
  google.protobuf.Timestamp create_time = 5 [(google.api.field_behavior) = OPTIONAL];
  string bed = 6 [
    (google.api.field_behavior) = OPTIONAL,
    (google.api.resource_reference).type = "garden.example.com/Bed"
  ];
  string xmin = 7;
}

service PlantService {
  rpc GetPlant(GetPlantRequest) returns (Plant) {
    option (google.api.http) = {
      post: "/v1/{name=plants/*}"
    };
  }
  rpc CreatePlant(CreatePlantRequest) returns (Plant) {
    option (google.api.http) = {
      post: "/v1/plants"
      body: "plant"
    };
  }
}

message GetPlantRequest {
  string name = 1 [
    (google.api.field_behavior) = REQUIRED,
    (google.api.resource_reference).type = "garden.example.com/Plant"
  ];
}

message CreatePlantRequest {
  Plant plant = 1 [(google.api.field_behavior) = OPTIONAL];
}
"""


PROTO2 = """\
syntax = "proto2";
package old.v1;
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
message Tool {
  option (google.api.resource) = {
    type: "old.example.com/Tool" pattern: "tools/{tool}" singular: "tool" plural: "tools"
  };
  optional string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  required int32 weight = 2;
  extensions 100 to 200;
}
"""


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("garden")
    (folder / "plant.proto").write_text(TEN_MISTAKES, encoding="utf-8")
    return compile_protos(folder)


def test_every_mistake_is_reported_at_once_with_its_line(garden: bytes) -> None:
    with pytest.raises(SchemaError) as caught:
        load(garden)
    assert [
        (one.line, one.rule, one.element.removeprefix("garden.v1.")) for one in caught.value.mistakes
    ] == [
        (11, "AIP-121", "Plant"),  # no List
        (12, "AIP-123", "Plant"),  # plant_id
        (18, "entresol/index", "Plant"),
        (18, "entresol/search", "Plant"),
        (23, "AIP-122", "Plant.name"),  # not field 1
        (25, "AIP-144", "Plant.color"),
        (26, "AIP-148", "Plant.create_time"),
        (29, "entresol/reference", "Plant.bed"),
        (31, "AIP-203", "Plant.xmin"),
        (31, "entresol/column", "Plant.xmin"),
        (36, "AIP-131", "PlantService.GetPlant"),
        (56, "AIP-133", "CreatePlantRequest.plant"),
    ]


def test_a_mistake_says_where_what_and_what_to_do(garden: bytes) -> None:
    with pytest.raises(SchemaError) as caught:
        load(garden)
    assert str(caught.value.mistakes[1]) == (
        "plant.proto:12: garden.v1.Plant: pattern 'plants/{plant_id}': variable 'plant_id' ends with _id;"
        " write {plant} [AIP-123]"
    )
    assert str(caught.value).startswith("12 mistakes:\nplant.proto:11: ")


def test_without_source_info_lines_are_1(garden: bytes) -> None:
    bare = FileDescriptorSet.FromString(garden)
    for file in bare.file:
        file.ClearField("source_code_info")
    with pytest.raises(SchemaError) as caught:
        load(bare.SerializeToString())
    assert {one.line for one in caught.value.mistakes} == {1}


def test_bytes_that_are_no_set_are_refused() -> None:
    with pytest.raises(SchemaError, match="cannot be read"):
        load(b"\xff\xff")


def test_a_set_without_its_imports_is_refused(garden: bytes) -> None:
    lonely = FileDescriptorSet(file=[FileDescriptorSet.FromString(garden).file[-1]])
    with pytest.raises(SchemaError, match="compile with the imports included") as caught:
        load(lonely.SerializeToString())
    assert caught.value.mistakes[0].file == "plant.proto"


def test_an_empty_set_is_an_empty_model() -> None:
    model = load(b"")
    assert (model.resources, model.services) == ({}, {})


def test_a_set_without_options_needs_no_options_proto(tmp_path: Path) -> None:
    (tmp_path / "plain.proto").write_text(
        'syntax = "proto3"; package plain.v1; message Note { string text = 1; }'
    )
    assert load(compile_protos(tmp_path)).resources == {}


def test_the_ways_of_proto2_that_a_table_cannot_keep_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.proto").write_text(PROTO2, encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        load(compile_protos(tmp_path))
    found = [(one.element, one.problem) for one in caught.value.mistakes if one.rule == "entresol/field"]
    assert found == [
        ("old.v1.Tool", "can be extended by fields unknown here"),
        ("old.v1.Tool.weight", "is required in proto2's way"),
    ]


def test_two_versions_of_a_file_can_be_loaded_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "note.proto"
    file.write_text('syntax = "proto3"; package note.v1; message Note { string text = 1; }')
    first = load(compile_protos(tmp_path))
    file.write_text('syntax = "proto3"; package note.v1; message Note { string text = 1; int32 size = 2; }')
    second = load(compile_protos(tmp_path))
    counts = [len(model.pool.FindMessageTypeByName("note.v1.Note").fields) for model in (first, second)]
    assert counts == [1, 2]
