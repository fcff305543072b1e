"""What to send instead: of a field that is not there the nearest ones, of a value that does not fit what fits."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

# So often in one request the nearest name is looked for: it is compared with each that there is, at 15 us for one.
NEAREST_MAX = 5
_SHOWN_MAX = 64  # characters of a name that a client made up
_NAMES_MAX = 20  # of a message or an enum, beyond which only the nearest are told
_NUMBER = 'must be a number up to {}, or "NaN", "Infinity" or "-Infinity"'
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_OTHERS = {
    FieldDescriptor.CPPTYPE_BOOL: "must be true or false",
    FieldDescriptor.CPPTYPE_FLOAT: _NUMBER.format("3.4e38"),
    FieldDescriptor.CPPTYPE_DOUBLE: _NUMBER.format("1.7e308"),
}
# What protobuf's JSON writes otherwise than as an object with the message's fields.
_WELL_KNOWN: Mapping[str, str] = {
    "google.protobuf.Timestamp": 'must be a time as RFC 3339 has it, such as "2026-01-31T09:30:00Z"',
    "google.protobuf.Duration": 'must be seconds with an s behind, such as "1.5s"',
    "google.protobuf.FieldMask": "must be a string: field names in camelCase with commas between",
    "google.protobuf.Struct": "must be an object",
    "google.protobuf.Value": "must be JSON",
    "google.protobuf.ListValue": "must be an array",
    "google.protobuf.Any": 'must be an object with the fields of a message that is known here, and its type in "@type"',
}
_WRAPPERS_FILE = "google/protobuf/wrappers.proto"


def is_object(descriptor: Descriptor) -> bool:
    """Tell whether JSON writes such a message as an object with its fields."""
    return descriptor.full_name not in _WELL_KNOWN and descriptor.file.name != _WRAPPERS_FILE


def expected(field: FieldDescriptor, given: object = None) -> str:
    """Return what one value of a field must be, as JSON or as text. Of an enum, the name nearest to `given`, if any."""
    if field.message_type is not None:
        return expected_message(field.message_type)
    if field.enum_type is not None:
        return _expected_name(field.enum_type, given)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return "must be bytes in base64"
    if field.cpp_type in _RANGES:
        least, most = _RANGES[field.cpp_type]
        return f"must be a whole number from {least} to {most}"
    return _OTHERS.get(field.cpp_type, "must be a string")


def expected_message(descriptor: Descriptor) -> str:
    """Return what a message must be as JSON."""
    if descriptor.file.name == _WRAPPERS_FILE:
        return f"{expected(descriptor.fields_by_name['value'])}, or null"
    return _WELL_KNOWN.get(descriptor.full_name, "must be an object")


def no_field(descriptor: Descriptor, name: str, *, nearest: bool = True) -> str:
    """Return what is told of a field that a message does not have; its nearest one, if that is to be looked for."""
    has = [field.name for field in descriptor.fields]
    known = [*has, *(field.json_name for field in descriptor.fields)]
    remedy = _remedy(name if nearest else "", known, has, "it has")
    return f"{descriptor.name} has no field {name[:_SHOWN_MAX]!r}{remedy}"


def _expected_name(enum: EnumDescriptor, given: object) -> str:
    names = [value.name for value in enum.values]
    name = given if isinstance(given, str) else ""
    return (
        f"must be the name or the number of a value of {enum.name}{_remedy(name, names, names, 'they are')}"
    )


def _remedy(name: str, known: Sequence[str], names: Sequence[str], are: str) -> str:
    near = difflib.get_close_matches(name[:_SHOWN_MAX], known, 1) if name else ()
    if near:
        return f"; did you mean {near[0]}?"
    return f"; {are} {', '.join(names)}" if 0 < len(names) <= _NAMES_MAX else ""
