"""A short hash of how a resource's messages look in bytes, so that a cache never serves another look."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.schema.fields import oneof_of
from entresol.schema.model import Field

REVISION_DIGITS = 8


def revision_of(fields: Iterable[Field]) -> str:
    """Return 8 hex digits that change when a field's number, name, type or place in the message does.

    The order of the fields in the file does not matter, and neither does what leaves the bytes as they were:
    columns, indexes, comments, REQUIRED. INPUT_ONLY does: such a field is stored and never returned.
    """
    by_number = sorted(fields, key=lambda field: field.number)
    look = {
        "fields": [[*_look(field.descriptor), field.input_only] for field in by_number],
        "messages": {
            message.full_name: [_look(field) for _, field in sorted(message.fields_by_number.items())]
            for message in reachable(field.descriptor for field in by_number)
        },
    }
    text = json.dumps(look, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:REVISION_DIGITS]


def reachable(fields: Iterable[FieldDescriptor]) -> Iterator[Descriptor]:
    """Yield every message that these fields may hold, at any depth, each once; map entries too."""
    seen: set[str] = set()
    waiting = [field.message_type for field in fields]
    while waiting:
        message = waiting.pop()
        if message is not None and message.full_name not in seen:
            seen.add(message.full_name)
            yield message
            waiting.extend(field.message_type for field in message.fields)


def _look(field: FieldDescriptor) -> list[object]:
    kind = field.message_type.full_name if field.message_type is not None else field.type
    return [field.number, field.name, kind, field.is_repeated, field.has_presence, oneof_of(field)]
