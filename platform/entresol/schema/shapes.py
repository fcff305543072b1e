"""What stands behind a field of any message, however deep: its kind, its presence and its options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

from google.api import field_behavior_pb2, field_info_pb2, resource_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from entresol.schema.columns import is_map, scalar_of
from entresol.schema.model import Behavior, Kind

# More fields than any set of protos that one server loads; beyond it, shapes are worked out again.
_REMEMBERED = 16384
_WRAPPERS_FILE = "google/protobuf/wrappers.proto"
_BEHAVIORS = {behavior.value: behavior for behavior in Behavior}


@dataclass(frozen=True, slots=True)
class Shape:
    """The type of a field. A wrapper has the kind that it wraps; `key` and `value` belong to maps."""

    kind: Kind
    repeated: bool = False
    presence: bool = False
    bits: int = 0
    signed: bool = True
    enum: EnumDescriptor | None = None
    message: Descriptor | None = None
    key: FieldDescriptor | None = None
    value: FieldDescriptor | None = None


def descriptor_of(message: Message) -> Descriptor:
    """Return the type of a message, as the rest of the code names it (the stubs know two of them)."""
    return cast(Descriptor, message.DESCRIPTOR)


@lru_cache(maxsize=_REMEMBERED)
def shape_of(descriptor: FieldDescriptor) -> Shape:
    """Return the shape of a field of any message."""
    message = descriptor.message_type
    if message is not None and is_map(descriptor):
        return Shape(
            Kind.MAP, message=message, key=message.fields_by_number[1], value=message.fields_by_number[2]
        )
    if message is not None and message.file.name == _WRAPPERS_FILE:
        return _scalar_shape(descriptor, message.fields_by_name["value"])
    return replace(_scalar_shape(descriptor, descriptor), message=message)


def _scalar_shape(descriptor: FieldDescriptor, holder: FieldDescriptor) -> Shape:
    scalar = scalar_of(holder)
    return Shape(
        scalar.kind,
        repeated=bool(descriptor.is_repeated),
        presence=bool(descriptor.has_presence),
        bits=scalar.bits,
        signed=scalar.signed,
        enum=holder.enum_type,
    )


@lru_cache(maxsize=_REMEMBERED)
def behaviors_of(descriptor: FieldDescriptor) -> frozenset[Behavior]:
    """Return the `google.api.field_behavior` of a field of any message."""
    numbers = descriptor.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return frozenset(_BEHAVIORS[number] for number in numbers if number in _BEHAVIORS)


@lru_cache(maxsize=_REMEMBERED)
def holds(message: Descriptor, behavior: Behavior) -> bool:
    """Tell whether a message has a field of this behavior, its own or in a message below it."""
    return any(behavior in behaviors_of(field) for below in messages_below(message) for field in below.fields)


@lru_cache(maxsize=_REMEMBERED)
def messages_below(message: Descriptor) -> tuple[Descriptor, ...]:
    """Return a message's type and every type reachable through its fields, each once; map entries included."""
    found = {message.full_name: message}
    waiting = [message]
    while waiting:
        for field in waiting.pop().fields:
            if field.message_type is not None and field.message_type.full_name not in found:
                found[field.message_type.full_name] = field.message_type
                waiting.append(field.message_type)
    return tuple(found.values())


def reference_of(descriptor: FieldDescriptor) -> tuple[str, str] | None:
    """Return `type` and `child_type` of a field's `google.api.resource_reference`; None without one."""
    options = descriptor.GetOptions()
    if not options.HasExtension(resource_pb2.resource_reference):
        return None
    refers = options.Extensions[resource_pb2.resource_reference]
    return str(refers.type), str(refers.child_type)


def is_uuid4(descriptor: FieldDescriptor) -> bool:
    """Tell whether a field is annotated with the format UUID4 (AIP-202)."""
    info = descriptor.GetOptions().Extensions[field_info_pb2.field_info]
    return bool(info.format == field_info_pb2.FieldInfo.UUID4)
