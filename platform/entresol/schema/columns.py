"""What column a field becomes: the mapping from proto types to PostgreSQL types, in one table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.schema.model import Kind

IDENTIFIER_BYTES_MAX = 63
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Columns of every table, and those PostgreSQL gives every table itself.
RESERVED_COLUMNS = frozenset({"name", "parent", "row_version"})
SYSTEM_COLUMNS = frozenset({"ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A kind with its column type and the SQL constant of its zero value; None where the zero is NULL."""

    kind: Kind
    type: str
    zero: str | None
    bits: int = 0
    signed: bool = True


_INT32 = Scalar(Kind.INT, "integer", "0", 32)
_UINT32 = Scalar(Kind.INT, "bigint", "0", 32, signed=False)
_INT64 = Scalar(Kind.INT, "bigint", "0", 64)
_UINT64 = Scalar(Kind.INT, "numeric(20,0)", "0", 64, signed=False)
_SCALARS: dict[int, Scalar] = {
    FieldDescriptor.TYPE_STRING: Scalar(Kind.STRING, "text", "''"),
    FieldDescriptor.TYPE_BYTES: Scalar(Kind.BYTES, "bytea", r"'\x'"),
    FieldDescriptor.TYPE_BOOL: Scalar(Kind.BOOL, "boolean", "false"),
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
    FieldDescriptor.TYPE_FLOAT: Scalar(Kind.FLOAT, "real", "0"),
    FieldDescriptor.TYPE_DOUBLE: Scalar(Kind.DOUBLE, "double precision", "0"),
    FieldDescriptor.TYPE_ENUM: Scalar(Kind.ENUM, "integer", "0"),
}
_MESSAGES: dict[str, Scalar] = {
    "google.protobuf.Timestamp": Scalar(Kind.TIMESTAMP, "timestamptz", None),
    "google.protobuf.Duration": Scalar(Kind.DURATION, "interval", None),
}
_MESSAGE = Scalar(Kind.MESSAGE, "jsonb", None)
_WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)


def map_entry(field: FieldDescriptor) -> Descriptor | None:
    """Return the message of a map's entries, whose fields are `key` and `value`; None for any other field."""
    message: Descriptor | None = field.message_type
    return message if message is not None and message.GetOptions().map_entry else None


def is_map(field: FieldDescriptor) -> bool:
    """Tell whether the field is a map."""
    return map_entry(field) is not None


def is_wrapper(field: FieldDescriptor) -> bool:
    """Tell whether the field is one `google.protobuf.*Value`; a list of them is a list of messages."""
    message = field.message_type
    return message is not None and not field.is_repeated and message.full_name in _WRAPPERS


def scalar_of(field: FieldDescriptor) -> Scalar:
    """Return what one value of the field is; for a wrapper, what it wraps."""
    if field.message_type is None:
        return _SCALARS[field.type]
    if is_wrapper(field):
        return _SCALARS[field.message_type.fields_by_name["value"].type]
    return _MESSAGES.get(field.message_type.full_name, _MESSAGE)


def column_type(field: FieldDescriptor) -> tuple[str, str | None]:
    """Return the column's type and default, as if the field had neither presence nor a reference."""
    if is_map(field):
        return "jsonb", "'{}'"
    scalar = scalar_of(field)
    if not field.is_repeated:
        return scalar.type, scalar.zero
    if scalar.kind is Kind.MESSAGE:
        return "jsonb", "'[]'"
    return f"{scalar.type}[]", "'{}'"


def is_identifier(text: str) -> bool:
    """Tell whether PostgreSQL keeps `text` as a name unquoted and whole: lower case, at most 63 bytes."""
    return _IDENTIFIER.fullmatch(text) is not None
