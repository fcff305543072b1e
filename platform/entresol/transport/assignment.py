"""Fields of a message from text, by their path: `story.title`, as command lines and URLs have them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError

from entresol.errors import InvalidArgumentError


def assign(message: Any, names: Sequence[str], text: str, path: str) -> None:
    """Set the field that `names` lead to, or add to it when it is repeated.

    Raises:
        InvalidArgumentError: of `path`: there is no such field, or the text does not fit it.
    """
    field = field_of(message.DESCRIPTOR, names[0])
    if field is None:
        has = ", ".join(message.DESCRIPTOR.fields_by_name)
        raise InvalidArgumentError.of(
            path, f"{message.DESCRIPTOR.name} has no field {names[0]!r}; it has {has}"
        )
    if len(names) > 1:
        if field.message_type is None or field.is_repeated:
            raise InvalidArgumentError.of(
                path, f"{field.name} has no fields of its own; write {field.name}=value"
            )
        assign(getattr(message, field.name), names[1:], text, path)
    elif field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
        try:
            setattr(message, field.name, text)
        except ValueError as error:
            raise InvalidArgumentError.of(path, "is no Unicode text") from error
    elif field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
        getattr(message, field.name).paths.extend(_snake(part.strip()) for part in text.split(","))
    else:
        given = type(message)()
        try:
            ParseDict({field.name: _json_value(field, text)}, given, descriptor_pool=field.file.pool)
        except (ParseError, ValueError, RecursionError) as error:
            raise InvalidArgumentError.of(path, str(error)) from error
        message.MergeFrom(given)  # which adds to lists and maps what stands there already


def field_of(descriptor: Descriptor, name: str) -> Any:
    """Return the field that is called so in the proto, or in JSON."""
    return descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)


def _snake(path: str) -> str:
    """Return a path of a mask as protos write it; JSON writes its fields in camelCase."""
    return path if "`" in path else re.sub(r"(?<=[a-z0-9])[A-Z]", lambda found: "_" + found[0].lower(), path)


def _json_value(field: Any, text: str) -> Any:
    value: Any = text
    if field.type == FieldDescriptor.TYPE_BOOL:
        value = {"true": True, "false": False}.get(text.lower(), text)
    elif text[:1] in ("{", "[") and field.type == FieldDescriptor.TYPE_MESSAGE:
        value = json.loads(text)
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    return [value] if field.is_repeated and not is_map and not isinstance(value, list) else value
