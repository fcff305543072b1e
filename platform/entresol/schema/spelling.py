"""The type of a field as a proto file spells it."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor

from entresol.schema.columns import map_entry

_SCALARS = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def type_name(field: FieldDescriptor) -> str:
    """Return the field's type as a proto file spells it."""
    entry = map_entry(field)
    if entry is not None:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        return f"map<{type_name(key)}, {type_name(value)}>"
    named = field.message_type or field.enum_type
    one: str = named.full_name if named is not None else _SCALARS[field.type]
    return f"repeated {one}" if field.is_repeated else one
