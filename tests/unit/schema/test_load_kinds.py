"""Fields of every kind: their columns, and what else the model says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import Column, Kind, Resource, Role


@pytest.fixture(scope="module")
def sample() -> Resource:
    return load(compile_protos(Path(__file__).parent / "kinds")).by_table["samples"]


@pytest.mark.parametrize(
    ("field", "kind", "column_type", "nullable", "default"),
    [
        ("name", Kind.STRING, "text", False, None),
        ("a_string", Kind.STRING, "text", False, "''"),
        ("a_bytes", Kind.BYTES, "bytea", False, r"'\x'"),
        ("a_bool", Kind.BOOL, "boolean", False, "false"),
        ("an_int32", Kind.INT, "integer", False, "0"),
        ("a_sint32", Kind.INT, "integer", False, "0"),
        ("a_sfixed32", Kind.INT, "integer", False, "0"),
        ("a_uint32", Kind.INT, "bigint", False, "0"),
        ("a_fixed32", Kind.INT, "bigint", False, "0"),
        ("an_int64", Kind.INT, "bigint", False, "0"),
        ("a_sint64", Kind.INT, "bigint", False, "0"),
        ("a_sfixed64", Kind.INT, "bigint", False, "0"),
        ("a_uint64", Kind.INT, "numeric(20,0)", False, "0"),
        ("a_fixed64", Kind.INT, "numeric(20,0)", False, "0"),
        ("a_float", Kind.FLOAT, "real", False, "0"),
        ("a_double", Kind.DOUBLE, "double precision", False, "0"),
        ("an_enum", Kind.ENUM, "integer", False, "0"),
        ("a_timestamp", Kind.TIMESTAMP, "timestamptz", True, None),
        ("a_duration", Kind.DURATION, "interval", True, None),
        ("a_message", Kind.MESSAGE, "jsonb", True, None),
        ("a_map", Kind.MAP, "jsonb", False, "'{}'"),
        ("a_map_of_parts", Kind.MAP, "jsonb", False, "'{}'"),
        ("an_optional_string", Kind.STRING, "text", True, None),
        ("an_optional_int32", Kind.INT, "integer", True, None),
        ("an_optional_enum", Kind.ENUM, "integer", True, None),
        ("a_wrapped_string", Kind.STRING, "text", True, None),
        ("a_wrapped_bytes", Kind.BYTES, "bytea", True, None),
        ("a_wrapped_bool", Kind.BOOL, "boolean", True, None),
        ("a_wrapped_int32", Kind.INT, "integer", True, None),
        ("a_wrapped_uint32", Kind.INT, "bigint", True, None),
        ("a_wrapped_int64", Kind.INT, "bigint", True, None),
        ("a_wrapped_uint64", Kind.INT, "numeric(20,0)", True, None),
        ("a_wrapped_float", Kind.FLOAT, "real", True, None),
        ("a_wrapped_double", Kind.DOUBLE, "double precision", True, None),
        ("many_strings", Kind.STRING, "text[]", False, "'{}'"),
        ("many_bytes", Kind.BYTES, "bytea[]", False, "'{}'"),
        ("many_uint64s", Kind.INT, "numeric(20,0)[]", False, "'{}'"),
        ("many_enums", Kind.ENUM, "integer[]", False, "'{}'"),
        ("many_timestamps", Kind.TIMESTAMP, "timestamptz[]", False, "'{}'"),
        ("many_durations", Kind.DURATION, "interval[]", False, "'{}'"),
        ("many_parts", Kind.MESSAGE, "jsonb", False, "'[]'"),
        ("many_wrapped_strings", Kind.MESSAGE, "jsonb", False, "'[]'"),
        ("a_choice", Kind.STRING, "text", True, None),
        ("another_choice", Kind.INT, "bigint", True, None),
        ("a_third_choice", Kind.MESSAGE, "jsonb", True, None),
        ("a_reference", Kind.STRING, "text", True, None),
        ("an_optional_reference", Kind.STRING, "text", True, None),
        ("many_references", Kind.STRING, "text[]", False, "'{}'"),
        ("create_time", Kind.TIMESTAMP, "timestamptz", True, None),
        ("secret", Kind.STRING, "text", False, "''"),
    ],
)
def test_a_field_becomes_a_column(
    sample: Resource, field: str, kind: Kind, column_type: str, nullable: bool, default: str | None
) -> None:
    found = sample.by_name[field]
    assert found.kind is kind
    assert found.column == Column(field, column_type, nullable, default)


def test_the_etag_has_no_column(sample: Resource) -> None:
    assert sample.by_name["etag"].column is None
    assert sample.by_name["etag"].role is Role.ETAG


def test_integers_know_their_width_and_sign(sample: Resource) -> None:
    fields = ("an_int32", "a_uint32", "a_sfixed64", "a_fixed64", "a_wrapped_uint64")
    found = [(sample.by_name[name].bits, sample.by_name[name].signed) for name in fields]
    assert found == [(32, True), (32, False), (64, True), (64, False), (64, False)]


def test_presence_is_what_tells_unset_from_empty(sample: Resource) -> None:
    present = {field.name for field in sample.fields if field.presence}
    assert {"an_optional_string", "a_message", "a_timestamp", "a_wrapped_bool", "a_choice"} <= present
    assert not present & {"a_string", "many_strings", "a_map", "a_reference"}


def test_only_lists_are_repeated(sample: Resource) -> None:
    repeated = {field.name for field in sample.fields if field.repeated}
    assert repeated == {field.name for field in sample.fields if field.name.startswith("many_")}


def test_only_single_wrappers_are_wrappers(sample: Resource) -> None:
    wrappers = {field.name for field in sample.fields if field.wrapper}
    assert wrappers == {field.name for field in sample.fields if field.name.startswith("a_wrapped_")}


def test_optional_is_no_oneof(sample: Resource) -> None:
    members = {field.name: field.oneof for field in sample.fields if field.oneof}
    assert members == {"a_choice": "choice", "another_choice": "choice", "a_third_choice": "choice"}


def test_enums_know_their_values(sample: Resource) -> None:
    for name in ("an_enum", "many_enums", "an_optional_enum"):
        found = sample.by_name[name].enum
        assert found is not None
        assert [value.name for value in found.values] == ["COLOR_UNSPECIFIED", "COLOR_RED"]


def test_the_message_class_is_of_the_models_own_pool(sample: Resource) -> None:
    message = sample.message_class.FromString(b"\x0a\x09samples/a")
    assert sample.message_class.DESCRIPTOR is sample.descriptor
    assert message.SerializeToString() == b"\x0a\x09samples/a"
