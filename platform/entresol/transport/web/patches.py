"""What a PATCH without a mask changes: every field that its JSON has, also to nothing; `null` clears.

A message cannot tell a field that was set to 0 from one that was left out; JSON can (rule 98). An empty object of
which some fields are never shown (INPUT_ONLY) changes nothing: whoever read it cannot know that it is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor

from entresol.schema.mask_parser import SEGMENTS_MAX
from entresol.schema.masks import UNWRITABLE, is_composite
from entresol.schema.model import Behavior, MethodKind, Role
from entresol.schema.shapes import behaviors_of, holds
from entresol.service.standard import request_field, resource_of
from entresol.service.table import Route

_MASK = "update_mask"
_UNMASKED = (Role.NAME, Role.ETAG)  # they say which record, and which version of it


def imply_mask(route: Route, message: Any, text: bytes) -> None:
    """Give the request of a standard Update whose record is the JSON `text` the mask of it, if it has none."""
    method = route.method
    if method.kind is not MethodKind.UPDATE or route.is_custom or not text:
        return
    if _MASK not in method.input.fields_by_name or message.update_mask.paths:
        return
    record = getattr(message, request_field(method)).DESCRIPTOR
    fields = resource_of(method).by_role
    unmasked = {fields[role].name for role in _UNMASKED if role in fields}
    # Numbers are of no interest here, and may have more digits than are read.
    value = json.loads(text, parse_int=str, parse_float=str)
    message.update_mask.paths.extend(path for path in paths(record, value) if path not in unmasked)


def paths(descriptor: Descriptor, value: Mapping[str, Any], depth: int = 1) -> Iterator[str]:
    """Yield the paths that an object has, down to fields of messages, but for what only the server writes."""
    named = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
    for key, below in value.items():
        field = named.get(key)
        # An extension, which has no path, or the server's.
        if field is None or behaviors_of(field) & UNWRITABLE:
            continue
        if isinstance(below, dict) and is_composite(field) and depth < SEGMENTS_MAX:
            holder: Any = field.message_type
            if below:
                yield from (f"{field.name}.{path}" for path in paths(holder, below, depth + 1))
            elif not holds(holder, Behavior.INPUT_ONLY):  # else it may hold what is never shown
                yield field.name
        else:
            yield field.name
