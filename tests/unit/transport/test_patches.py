"""The mask that JSON implies: paths down to fields of messages, and of lists, maps and known types the whole."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from entresol.codegen.protos import compile_protos
from entresol.schema.mask_parser import SEGMENTS_MAX, parse_mask
from entresol.transport.web.patches import paths

PROTO = """
syntax = "proto3";
package museum.v1;
import "google/api/field_behavior.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

message Hall {
  string name = 1 [(google.api.field_behavior) = IDENTIFIER];
  Place main_place = 2;
  repeated Place places = 3;
  map<string, Place> exits = 4;
  google.protobuf.Timestamp open_time = 5;
  google.protobuf.Struct notes = 6;
  google.protobuf.Int32Value rank = 7;
  oneof ticket {
    string text = 8;
    Place sold_at = 9;
  }
  Place seen = 10 [(google.api.field_behavior) = OUTPUT_ONLY];
  Door main_door = 11;
}

message Door {
  string key = 1 [(google.api.field_behavior) = INPUT_ONLY];
  string color = 2;
}

message Place {
  string wing = 1;
  int32 top_floor = 2;
  string code = 3 [(google.api.field_behavior) = OUTPUT_ONLY];
  Place next = 4;
}
"""


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Descriptor:
    folder = tmp_path_factory.mktemp("protos")
    (folder / "museum.proto").write_text(PROTO, encoding="utf-8")
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(compile_protos(folder)).file:
        pool.Add(file)
    return pool.FindMessageTypeByName("museum.v1.Hall")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, []),
        ({"mainPlace": {"wing": "", "topFloor": 0}}, ["main_place.wing", "main_place.top_floor"]),
        ({"main_place": {"next": {"wing": "x"}}}, ["main_place.next.wing"]),
        ({"mainPlace": {}}, ["main_place"]),
        ({"mainPlace": None}, ["main_place"]),
        ({"mainPlace": {"next": None}}, ["main_place.next"]),
        ({"places": [{"wing": "x"}], "exits": {"a": {"wing": "x"}}}, ["places", "exits"]),
        ({"openTime": "2026-01-31T09:30:00Z", "notes": {"a": 1}, "rank": 0}, ["open_time", "notes", "rank"]),
        ({"soldAt": {"wing": "x"}}, ["sold_at.wing"]),
        ({"text": None}, ["text"]),
        ({"mainDoor": {}}, []),
        ({"mainDoor": None}, ["main_door"]),
        ({"mainDoor": {"key": ""}}, ["main_door.key"]),
        ({"mainDoor": {"color": "red"}}, ["main_door.color"]),
        ({"name": "halls/a", "seen": {"wing": "x"}, "mainPlace": {"code": "x"}}, []),
    ],
)
def test_the_paths_of_an_object(hall: Descriptor, value: Any, expected: list[str]) -> None:
    assert list(paths(hall, value)) == expected


def test_what_is_deeper_than_masks_are_read_is_taken_whole(hall: Descriptor) -> None:
    value: dict[str, Any] = {"wing": "x"}
    for _ in range(50):
        value = {"next": value}
    (path,) = paths(hall, {"mainPlace": value})
    assert path.count(".") == SEGMENTS_MAX - 1
    assert parse_mask([path], hall, write=True).parts
