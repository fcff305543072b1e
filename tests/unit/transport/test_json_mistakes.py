"""What is wrong with JSON is told value by value, and never otherwise than the codec has it."""

from __future__ import annotations

import json
from difflib import SequenceMatcher
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import given
from hypothesis import strategies as st

from entresol.codegen.protos import compile_protos
from entresol.errors import InvalidArgumentError, Violation
from entresol.transport.web.json_codec import JsonCodec

PROTO = """
syntax = "proto3";
package garage.v1;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

message Vehicle {
  enum Fuel { FUEL_UNSPECIFIED = 0; FUEL_PETROL = 1; FUEL_DIESEL = 2; }
  string plate = 1;
  int32 seats = 2;
  int64 odometer_km = 3;
  uint32 doors = 4;
  uint64 chassis = 5;
  bool electric = 6;
  bytes photo = 7;
  float mass = 8;
  double price = 9;
  Fuel fuel = 10;
  repeated string tags = 11;
  map<string, string> labels = 12;
  map<int32, Fuel> trips = 13;
  map<bool, Vehicle> twins = 14;
  google.protobuf.Timestamp start_time = 15;
  google.protobuf.Duration warranty = 16;
  google.protobuf.FieldMask shown = 17;
  google.protobuf.Any extra = 18;
  google.protobuf.StringValue motto = 19;
  google.protobuf.Int64Value rank = 20;
  google.protobuf.Struct notes = 21;
  google.protobuf.Value note = 22;
  google.protobuf.ListValue list = 23;
  oneof keeper {
    string owner = 24;
    Vehicle carrier = 25;
  }
  Vehicle trailer = 26;
  repeated Vehicle parts = 27;
  repeated google.protobuf.Timestamp service_times = 28;
  map<string, google.protobuf.Duration> delays = 29;
}

message Empty {}

message Order {
  repeated Kind kinds = 1;
}
"""
KINDS = [f"KIND_OF_PART_{number}" for number in range(600)]
KINDS_PROTO = f"enum Kind {{ {' '.join(f'{kind} = {number};' for number, kind in enumerate(KINDS))} }}"
WHOLE_32 = "must be a whole number from -2147483648 to 2147483647"
TIME = 'must be a time as RFC 3339 has it, such as "2026-01-31T09:30:00Z"'
SECONDS = 'must be seconds with an s behind, such as "1.5s"'
FUELS = (
    "must be the name or the number of a value of Fuel; they are FUEL_UNSPECIFIED, FUEL_PETROL, FUEL_DIESEL"
)
DOUBLE = 'must be a number up to 1.7e308, or "NaN", "Infinity" or "-Infinity"'


@pytest.fixture(scope="module")
def codec_and_pool(tmp_path_factory: pytest.TempPathFactory) -> tuple[JsonCodec, DescriptorPool]:
    folder = tmp_path_factory.mktemp("protos")
    (folder / "garage.proto").write_text(PROTO + KINDS_PROTO, encoding="utf-8")
    descriptors = compile_protos(folder)
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptors).file:
        pool.Add(file)
    return JsonCodec(descriptors), pool


@pytest.fixture(scope="module")
def codec(codec_and_pool: tuple[JsonCodec, DescriptorPool]) -> JsonCodec:
    return codec_and_pool[0]


@pytest.fixture(scope="module")
def vehicle(codec_and_pool: tuple[JsonCodec, DescriptorPool]) -> Descriptor:
    return codec_and_pool[1].FindMessageTypeByName("garage.v1.Vehicle")


def told(codec: JsonCodec, descriptor: Descriptor, text: str | bytes, at: str = "") -> dict[str, str]:
    """Return what is told of a text that is refused: descriptions by field."""
    with pytest.raises(InvalidArgumentError) as refused:
        codec.binary(descriptor, text.encode() if isinstance(text, str) else text, at)
    assert len({one.field for one in refused.value.violations}) == len(refused.value.violations)
    return {one.field: one.description for one in refused.value.violations}


@pytest.mark.parametrize(
    ("value", "field", "description"),
    [
        ({"plate": 14}, "plate", "must be a string"),
        ({"seats": "many"}, "seats", WHOLE_32),
        ({"seats": 1.5}, "seats", WHOLE_32),
        ({"seats": 2**31}, "seats", WHOLE_32),
        ({"odometerKm": True}, "odometer_km", f"must be a whole number from -{2**63} to {2**63 - 1}"),
        ({"odometer_km": "x"}, "odometer_km", f"must be a whole number from -{2**63} to {2**63 - 1}"),
        ({"doors": -1}, "doors", "must be a whole number from 0 to 4294967295"),
        ({"chassis": 2**64}, "chassis", f"must be a whole number from 0 to {2**64 - 1}"),
        ({"electric": "true"}, "electric", "must be true or false"),
        ({"photo": "?"}, "photo", "must be bytes in base64"),
        ({"photo": 1}, "photo", "must be bytes in base64"),
        ({"mass": 1e39}, "mass", DOUBLE.replace("1.7e308", "3.4e38")),
        ({"price": "cheap"}, "price", DOUBLE),
        ({"fuel": "FUEL_DEISEL"}, "fuel", f"{FUELS.partition(';')[0]}; did you mean FUEL_DIESEL?"),
        ({"fuel": "WOOD"}, "fuel", FUELS),
        ({"fuel": True}, "fuel", FUELS),
        ({"tags": "a"}, "tags", "must be an array"),
        ({"tags": ["a", "b", 3]}, "tags[2]", "must be a string"),
        ({"tags": ["a", None]}, "tags[1]", "must be a string"),
        ({"labels": []}, "labels", "must be an object"),
        ({"labels": {"a": "b", "x": 1}}, 'labels["x"]', "must be a string"),
        ({"trips": {"one": 1}}, 'trips["one"]', f"its key {WHOLE_32}"),
        ({"trips": {"1": "WOOD"}}, 'trips["1"]', FUELS),
        ({"twins": {"yes": {}}}, 'twins["yes"]', "its key must be true or false"),
        ({"twins": {"true": {"seats": {}}}}, 'twins["true"].seats', WHOLE_32),
        ({"startTime": "yesterday"}, "start_time", TIME),
        ({"start_time": 1}, "start_time", TIME),
        ({"serviceTimes": ["2026-01-31T09:30:00Z", "x"]}, "service_times[1]", TIME),
        ({"warranty": "1"}, "warranty", SECONDS),
        ({"delays": {"a": 1}}, 'delays["a"]', SECONDS),
        ({"shown": ["plate"]}, "shown", "must be a string: field names in camelCase with commas between"),
        ({"motto": 3}, "motto", "must be a string, or null"),
        ({"rank": "first"}, "rank", f"must be a whole number from -{2**63} to {2**63 - 1}, or null"),
        ({"notes": []}, "notes", "must be an object"),
        ({"list": {}}, "list", "must be an array"),
        ({"owner": 1}, "owner", "must be a string"),
        ({"trailer": "none"}, "trailer", "must be an object"),
        ({"trailer": {"trailer": {"plate": 1}}}, "trailer.trailer.plate", "must be a string"),
        ({"parts": [{}, {"plate": 1}]}, "parts[1].plate", "must be a string"),
        ({"plat": "x"}, "plat", "Vehicle has no field 'plat'; did you mean plate?"),
        ({"startTim": "x"}, "startTim", "Vehicle has no field 'startTim'; did you mean startTime?"),
        ({"parts": [{"zzz": 1}]}, "parts[0].zzz", "Vehicle has no field 'zzz'"),
        ({"": 1}, "body", "Vehicle has no field ''"),
        ([], "body", "must be an object"),
        (None, "body", "must be an object"),
    ],
)
def test_a_mistake_is_told_with_its_field_and_the_remedy(
    codec: JsonCodec, vehicle: Descriptor, value: Any, field: str, description: str
) -> None:
    assert told(codec, vehicle, json.dumps(value)) == {field: description}


def test_every_mistake_is_told_at_once(codec: JsonCodec, vehicle: Descriptor) -> None:
    value = {
        "plat": "x",
        "seats": "many",
        "tags": [1, "a", 2],
        "trailer": {"electric": 1, "labels": {"x": 1, "y": "fine", "z": 2}},
    }
    found = told(codec, vehicle, json.dumps(value))
    fields = ["plat", "seats", "tags[0]", "tags[2]", "trailer.electric"]
    assert list(found) == [*fields, 'trailer.labels["x"]', 'trailer.labels["z"]']


def test_the_path_begins_with_the_field_that_the_body_is(codec: JsonCodec, vehicle: Descriptor) -> None:
    assert list(told(codec, vehicle, '{"plate": 14, "plat": 1}', "vehicle")) == [
        "vehicle.plate",
        "vehicle.plat",
    ]
    assert told(codec, vehicle, "[]", "vehicle") == {"vehicle": "must be an object"}


def test_the_fields_are_told_where_they_are_few(
    codec: JsonCodec, codec_and_pool: tuple[JsonCodec, DescriptorPool]
) -> None:
    find = codec_and_pool[1].FindMessageTypeByName
    assert told(codec, find("garage.v1.Empty"), '{"a": 1}') == {"a": "Empty has no field 'a'"}
    assert told(codec, find("google.protobuf.Timestamp"), "1") == {"body": TIME}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "line 1, column 2"),
        ('{"plate": "a",\n "seats": }', "line 2, column 11"),
        ('{"plate": 5,\n "seats": }', "line 2, column 11"),
        ('{"price": NaN}', "line 1, column 11"),
        (b'{"plate": "\xff"}', "line 1, column "),
        ('{"plate": "\\ud800"}', "line 1, column "),
    ],
)
def test_of_what_is_no_json_the_place_is_told(
    codec: JsonCodec, vehicle: Descriptor, text: str | bytes, place: str
) -> None:
    (description,) = told(codec, vehicle, text, "vehicle").values()
    assert description.startswith("is no JSON: ")
    assert place in description
    assert "body" in told(codec, vehicle, text, "vehicle")


def test_of_a_text_that_ends_in_no_unicode_the_first_mistake_is_told(
    codec: JsonCodec, vehicle: Descriptor
) -> None:
    (description,) = told(codec, vehicle, b'{"plate": 1, "owner": "\xff"}').values()
    assert description.startswith("is no JSON of garage.v1.Vehicle: ")


def test_no_more_is_told_than_a_hundred_things_and_of_no_key_more_than_its_beginning(
    codec: JsonCodec, vehicle: Descriptor
) -> None:
    assert len(told(codec, vehicle, json.dumps({"tags": [1] * 5000}))) == 100
    (field,) = told(codec, vehicle, json.dumps({"x" * 5000: 1}))
    assert field == "x" * 64
    assert list(told(codec, vehicle, '{"plate": 1, "\\ud800": 1, "labels": {"\\ud800": 1}}')) == [
        "plate",
        "?",
        'labels["?"]',
    ]


def test_of_a_text_that_is_long_the_first_mistake_is_told(codec: JsonCodec, vehicle: Descriptor) -> None:
    (description,) = told(codec, vehicle, json.dumps({"tags": ["x"] * 20_000, "plat": 1})).values()
    assert description.startswith("is no JSON of garage.v1.Vehicle: ")


class CountingCodec(JsonCodec):
    """Counts the bytes of what is read."""

    read_bytes = 0

    def _binary(self, descriptor: Descriptor, text: bytes) -> bytes:
        self.read_bytes += len(text)
        return super()._binary(descriptor, text)


@pytest.fixture
def counting(codec_and_pool: tuple[JsonCodec, DescriptorPool], vehicle: Descriptor) -> CountingCodec:
    files = FileDescriptorSet()
    names = [file.name for file in vehicle.file.dependencies]
    for name in [*names, vehicle.file.name]:
        codec_and_pool[1].FindFileByName(name).CopyToProto(files.file.add())
    return CountingCodec(files.SerializeToString())


def nested(depth: int, innermost: dict[str, Any]) -> str:
    """Return the JSON of a vehicle with so many trailers, each behind the other."""
    value = innermost
    for _ in range(depth):
        value = {"trailer": value}
    return json.dumps(value)


@pytest.mark.parametrize("field", ["trailer", "twins", "parts"])
def test_what_is_asked_of_the_codec_is_bounded_by_the_length_of_the_text(
    counting: CountingCodec, vehicle: Descriptor, field: str
) -> None:
    value: Any = {"owner": "x" * 30_000, "plate": 1}
    for _ in range(45):
        value = {field: {"trailer": value, "twins": {"true": value}, "parts": [value]}[field]}
    text = json.dumps(value)
    ((at, description),) = told(counting, vehicle, text).items()
    assert counting.read_bytes <= 21 * len(text)
    assert at.startswith(field), "the field that was reached"
    assert len(at) < 20 * len('twins["true"].')
    assert description.startswith("is no JSON of garage.v1.Vehicle: ")
    assert "plate" in description


def test_a_mistake_that_is_deep_in_a_short_text_is_told(counting: CountingCodec, vehicle: Descriptor) -> None:
    path = ".".join([*["trailer"] * 30, "plate"])
    assert told(counting, vehicle, nested(30, {"plate": 1})) == {path: "must be a string"}


def test_what_was_found_until_no_more_is_asked_is_told(counting: CountingCodec, vehicle: Descriptor) -> None:
    text = f'{{"seats": "many", {nested(90, {"owner": "x" * 30_000, "plate": 1})[1:]}'
    assert told(counting, vehicle, text) == {"seats": WHOLE_32}
    assert counting.read_bytes <= 21 * len(text)


def test_a_hundred_mistakes_of_a_short_text_are_all_told(
    counting: CountingCodec, vehicle: Descriptor
) -> None:
    text = f'{{"service_times":[{",".join("1" * 100)}]}}'
    assert len(told(counting, vehicle, text)) == 100
    assert counting.read_bytes > 20 * len(text)


def test_the_nearest_name_is_looked_for_in_the_first_five_mistakes(
    codec: JsonCodec, codec_and_pool: tuple[JsonCodec, DescriptorPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    set_seq1 = SequenceMatcher.set_seq1

    def count(matcher: Any, name: str) -> None:
        compared.append(name)
        set_seq1(matcher, name)

    monkeypatch.setattr(SequenceMatcher, "set_seq1", count)
    order = codec_and_pool[1].FindMessageTypeByName("garage.v1.Order")
    found = list(told(codec, order, json.dumps({"kinds": ["KIND_OF_PARD_7"] * 100})).values())
    must = "must be the name or the number of a value of Kind"
    assert found == [f"{must}; did you mean KIND_OF_PART_7?"] * 5 + [must] * 95
    assert len(compared) <= 5 * (len(KINDS) + 1)
    compared.clear()
    near = list(told(codec, order, json.dumps({f"kind{number}": 1 for number in range(100)})).values())
    assert [text.partition("; ")[2] for text in near] == ["did you mean kinds?"] * 5 + ["it has kinds"] * 95
    assert len(compared) <= 5 * 3


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 5000])
def test_where_the_codec_takes_a_number_beyond_all_it_is_no_mistake(
    codec: JsonCodec, vehicle: Descriptor, number: str
) -> None:
    codec.binary(vehicle, f'{{"note": {number}}}'.encode())
    text = f'{{"note": {number}, "price": {number}, "plate": 1}}'
    assert told(codec, vehicle, text) == {"price": DOUBLE, "plate": "must be a string"}


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_thousands_of_digits_is_json(codec: JsonCodec, vehicle: Descriptor, sign: str) -> None:
    number = sign + "1" * 5000
    assert told(codec, vehicle, f'{{"seats": {number}}}') == {"seats": WHOLE_32}
    assert told(codec, vehicle, f'{{"price": {number}}}') == {"price": DOUBLE}
    assert told(codec, vehicle, f'{{"seats": {number}, "plate": 1}}') == {
        "seats": WHOLE_32,
        "plate": "must be a string",
    }
    (description,) = told(codec, vehicle, f'{{"seats": {number}, "owner": "{"x" * 40_000}"}}').values()
    assert description.startswith("is no JSON of garage.v1.Vehicle: number out of range")
    (description,) = told(codec, vehicle, f'{{"seats": {number}, "plate" 1}}').values()
    assert description.startswith("is no JSON: ")


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.sampled_from([
        "FUEL_PETROL", "2026-01-31T09:30:00Z", "1.5s", "plate,odometerKm", "_-8", "YQ==", "12", "1e3", "1.0", "NaN",
    ]),
)  # fmt: skip
KEYS = st.sampled_from([
    "plate", "seats", "odometerKm", "odometer_km", "doors", "chassis", "electric", "photo", "mass", "price", "fuel",
    "tags", "labels", "trips", "twins", "startTime", "warranty", "shown", "extra", "motto", "rank", "notes", "note",
    "list", "owner", "carrier", "trailer", "parts", "service_times", "delays", "plat", "1", "true", "x", "@type",
])  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(KEYS, below, max_size=4)),
    max_leaves=12,
)


@given(value=st.dictionaries(KEYS, VALUES, max_size=4))
def test_what_the_codec_refuses_is_explained(
    codec: JsonCodec, vehicle: Descriptor, value: dict[str, Any]
) -> None:
    """A key of which a mistake is told is refused alone, too; the others are taken without it."""
    violations = refused(codec, vehicle, value)
    assert not any("is no JSON" in one.description for one in violations)
    wrong = {one.field.partition(".")[0].partition("[")[0] for one in violations}
    for key, below in value.items():
        assert bool(refused(codec, vehicle, {key: below})) == (_proto_name(vehicle, key) in wrong)


def refused(codec: JsonCodec, descriptor: Descriptor, value: Any) -> tuple[Violation, ...]:
    try:
        codec.binary(descriptor, json.dumps(value).encode())
    except InvalidArgumentError as error:
        return error.violations
    return ()


def _proto_name(descriptor: Descriptor, key: str) -> str:
    return next((field.name for field in descriptor.fields if field.json_name == key), key)
