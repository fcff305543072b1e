"""The words and the examples of `/openapi.json`, for shapes that the stories do not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import Model
from entresol.transport.web.json_codec import JsonCodec
from entresol.transport.web.openapi import document

PROTO = """
syntax = "proto3";
package post.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

// Letters and parcels.
service PostService {
  // Sends a parcel. It takes
  // a day at most.
  rpc SendParcel(SendParcelRequest) returns (SendParcelResponse) {
    option (google.api.http) = {post: "/v1/{office=offices/*}:send" body: "*"};
  }
}

// Asks for a parcel to be sent.
message SendParcelRequest {
  string office = 1 [(google.api.field_behavior) = REQUIRED];
  Parcel parcel = 2 [(google.api.field_behavior) = REQUIRED];
  string note = 3 [(google.api.field_behavior) = OPTIONAL];
}

// Answers that it is on its way.
message SendParcelResponse {}

// What is sent, with what it holds.
message Parcel {
  enum Speed { SPEED_UNSPECIFIED = 0; SPEED_SLOW = 1; }
  repeated Parcel parcels = 1 [(google.api.field_behavior) = REQUIRED];
  map<string, int64> labels = 2 [(google.api.field_behavior) = REQUIRED];
  Speed speed = 3 [(google.api.field_behavior) = REQUIRED];
  bytes seal = 4 [(google.api.field_behavior) = REQUIRED];
  google.protobuf.Timestamp send_time = 5 [(google.api.field_behavior) = REQUIRED];
  google.protobuf.StringValue motto = 6 [(google.api.field_behavior) = REQUIRED];
  google.protobuf.Struct extra = 7 [(google.api.field_behavior) = REQUIRED];
  repeated int64 sizes = 8 [(google.api.field_behavior) = REQUIRED];
  string state = 9 [(google.api.field_behavior) = OUTPUT_ONLY];
}
"""


@pytest.fixture
def model(tmp_path: Path) -> Model:
    folder = tmp_path / "post" / "v1"
    folder.mkdir(parents=True)
    (folder / "post.proto").write_text(PROTO, encoding="utf-8")
    return load(compile_protos(tmp_path))


@pytest.fixture
def operation(model: Model) -> Any:
    (path,) = document(model)["paths"].values()
    return path["post"]


def test_the_first_sentence_of_a_comment_is_the_summary(operation: Any) -> None:
    assert operation["summary"] == "Sends a parcel."
    assert operation["description"] == "Sends a parcel. It takes a day at most."


def test_an_example_has_a_value_where_one_is_required_and_null_elsewhere(
    model: Model, operation: Any
) -> None:
    example = operation["requestBody"]["content"]["application/json"]["example"]
    parcel = {
        "parcels": [{}],
        "labels": {},
        "speed": "SPEED_SLOW",
        "seal": "ZXhhbXBsZQ==",
        "sendTime": "2026-01-01T00:00:00Z",
        "motto": "motto",
        "extra": None,
        "sizes": [1],
    }
    assert example == {"parcel": parcel, "note": None}
    method = model.methods["/post.v1.PostService/SendParcel"]
    data = JsonCodec(model.descriptor_set).binary(method.input, json.dumps(example).encode())
    assert method.input_class.FromString(data).parcel.motto.value == "motto"
