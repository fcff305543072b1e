"""Fields of a message: from text by their path, `story.title`, as command lines and URLs have them, or from JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError

from entresol.errors import InvalidArgumentError
from entresol.schema.columns import map_entry
from entresol.transport.remedies import expected, is_object, no_field

DEPTH_MAX = 100  # of messages within messages, as many as protobuf itself takes


def assign(message: Any, names: Sequence[str], text: str, path: str, *, nearest: bool = True) -> None:
    """Set the field that `names` lead to, or add to it when it is repeated; `nearest` as for `no_field`.

    Raises:
        InvalidArgumentError: of `path`, or one below it: there is no such field, or the text does not fit it.
    """
    if len(names) > DEPTH_MAX:
        raise _too_deep(path)
    field = _field(message.DESCRIPTOR, names[0], path, nearest=nearest)
    if len(names) > 1:
        if field.message_type is None or field.is_repeated:
            raise InvalidArgumentError.of(
                path, f"{field.name} has no fields of its own; write {field.name}=value"
            )
        assign(getattr(message, field.name), names[1:], text, path, nearest=nearest)
    elif field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
        try:
            setattr(message, field.name, text)
        except ValueError as error:
            raise InvalidArgumentError.of(path, "is no Unicode text") from error
    else:
        _set(message, field, _json_value(field, text, path), path, nearest=nearest)


def fill(message: Any, values: Mapping[str, Any], path: str = "") -> None:
    """Set fields, written as JSON has them; a mask is a text of paths with commas, in snake_case or in camelCase.

    Raises:
        InvalidArgumentError: of a field's path: there is no such field, or the value does not fit it.
    """
    if path.count(".") >= DEPTH_MAX:
        raise _too_deep(path)
    for name, value in values.items():
        at = f"{path}.{name}" if path else name
        _set(message, _field(message.DESCRIPTOR, name, at), value, at)


def field_of(descriptor: Descriptor, name: str) -> Any:
    """Return the field that is called so in the proto, or in JSON."""
    return descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)


def _field(descriptor: Descriptor, name: str, path: str, *, nearest: bool = True) -> Any:
    found = field_of(descriptor, name)
    if found is None:
        raise InvalidArgumentError.of(path, no_field(descriptor, name, nearest=nearest), "UNKNOWN_FIELD")
    return found


def _too_deep(path: str) -> InvalidArgumentError:
    return InvalidArgumentError.of(path.partition(".")[0], f"is nested more than {DEPTH_MAX} deep")


def _set(message: Any, field: Any, value: Any, path: str, *, nearest: bool = True) -> None:
    """Give the field a value that is written as JSON has it; to lists and maps it is added."""
    type_ = "" if field.message_type is None else field.message_type.full_name
    if isinstance(value, str) and type_ == "google.protobuf.FieldMask":
        paths = value.split(",") if value else ()
        getattr(message, field.name).paths.extend(_snake(one.strip()) for one in paths)
    elif _has_fields(field) and field.is_repeated and isinstance(value, list):
        for index, one in enumerate(value):
            _fill_one(getattr(message, field.name).add(), one, f"{path}[{index}]")
    elif _has_fields(field) and not field.is_repeated and value is not None:
        getattr(message, field.name).SetInParent()
        _fill_one(getattr(message, field.name), value, path)
    else:
        given = type(message)()
        try:
            ParseDict({field.name: value}, given, descriptor_pool=field.file.pool)
        except (ParseError, ValueError, RecursionError) as error:
            # Of a map the library's words say more.
            told = str(error) if map_entry(field) else expected(field, value if nearest else None)
            raise InvalidArgumentError.of(path, told) from error
        message.MergeFrom(given)  # which adds to lists and maps what stands there already


def _fill_one(message: Any, value: Any, path: str) -> None:
    if not isinstance(value, Mapping):
        has = ", ".join(message.DESCRIPTOR.fields_by_name)
        raise InvalidArgumentError.of(path, f"is a {message.DESCRIPTOR.name}: write an object of {has}")
    fill(message, value, path)


def _has_fields(field: Any) -> bool:
    """Tell whether JSON writes the field's type, or that of its elements, as an object of the type's fields."""
    return field.message_type is not None and map_entry(field) is None and is_object(field.message_type)


def _snake(path: str) -> str:
    """Return a path of a mask as protos write it; JSON writes its fields in camelCase."""
    return path if "`" in path else re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: "_" + found[0].lower(), path)


def _json_value(field: Any, text: str, path: str) -> Any:
    value: Any = text
    if field.type == FieldDescriptor.TYPE_BOOL:
        value = {"true": True, "false": False}.get(text.lower(), text)
    elif text[:1] in ("{", "[") and field.type == FieldDescriptor.TYPE_MESSAGE:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidArgumentError.of(path, f"is no JSON: {error}") from error
    is_list = field.is_repeated and map_entry(field) is None
    return [value] if is_list and not isinstance(value, list) else value
