"""What masks do to messages (AIP-161): reading leaves out, writing merges; what one wrote the other returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from entresol.errors import Violation
from entresol.schema.mask_parser import parse_mask, parse_mask_text
from entresol.schema.mask_tree import EVERY, NOTHING, WHOLE, Mask
from entresol.schema.model import UNWRITABLE, Behavior, Field, Kind, Resource, Role
from entresol.schema.shapes import behaviors_of, descriptor_of, holds, shape_of

__all__ = [
    "NOTHING",
    "UNWRITABLE",
    "WHOLE",
    "Mask",
    "apply_read",
    "immutable_violations",
    "is_composite",
    "merge",
    "parse_mask",
    "parse_mask_text",
    "populated",
    "stored_fields",
]


def apply_read(mask: Mask, message: Message) -> None:
    """Clear what the mask does not cover, in place. Messages of which nothing is left are cleared too."""
    if mask.parts is None:
        return
    for field, value in message.ListFields():
        part = mask.at(field.name)
        if part is None:
            message.ClearField(field.name)
        elif not part.whole:
            _keep(part, field, value, message)


def _keep(part: Mask, field: FieldDescriptor, value: Any, holder: Message) -> None:
    shape = shape_of(field)
    if shape.kind is Kind.MAP:
        _keep_entries(part, value)
    elif shape.repeated:
        for element in value:
            apply_read(part.at(EVERY) or NOTHING, element)
    else:
        apply_read(part, value)
        if not value.ByteSize():
            holder.ClearField(field.name)


def _keep_entries(part: Mask, entries: Any) -> None:
    assert part.parts is not None
    for key in list(entries):
        below = part.at(key_text(key))
        if below is None:
            del entries[key]
        elif not below.whole:
            apply_read(below, entries[key])
            if EVERY not in part.parts and not entries[key].ByteSize():
                del entries[key]


def key_text(key: object) -> str:
    """Return the key of a map as masks and ProtoJSON spell it."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def merge(mask: Mask, source: Message, target: Message) -> None:
    """Give `target` the values that `source` has where the mask covers; unset in `source` becomes unset.

    OUTPUT_ONLY fields and the name keep what `target` has, also below messages and maps that are covered
    whole; elements of lists that are covered whole are replaced. Below `list.*`, elements are paired by
    their position and the list gets the length it has in `source`; below `map.*`, by their key.
    """
    for field, part in _covered(mask, descriptor_of(target)):
        shape = shape_of(field)
        if shape.kind is Kind.MAP:
            _merge_map(part, field, source, target)
        elif shape.repeated:
            _merge_list(part, field, source, target)
        elif field.message_type is not None:
            _merge_message(part, field, source, target)
        else:
            _merge_scalar(field, source, target)


def _covered(mask: Mask, message: Descriptor) -> Iterator[tuple[FieldDescriptor, Mask]]:
    for field in message.fields:
        part = mask.at(field.name)
        if part is not None and not behaviors_of(field) & UNWRITABLE:
            yield field, part


def _merge_scalar(field: FieldDescriptor, source: Message, target: Message) -> None:
    if field.has_presence and not source.HasField(field.name):
        target.ClearField(field.name)
    else:
        setattr(target, field.name, getattr(source, field.name))


def _merge_message(part: Mask, field: FieldDescriptor, source: Message, target: Message) -> None:
    if not source.HasField(field.name) and part.whole:
        target.ClearField(field.name)
    elif source.HasField(field.name) or target.HasField(field.name):
        _merge_value(part, getattr(source, field.name), getattr(target, field.name))


def _merge_value(part: Mask, source: Message, target: Message) -> None:
    if part.whole and not holds(descriptor_of(target), Behavior.OUTPUT_ONLY):
        target.CopyFrom(source)
        return
    target.SetInParent()
    merge(part, source, target)


def _merge_list(part: Mask, field: FieldDescriptor, source: Message, target: Message) -> None:
    given, kept = getattr(source, field.name), getattr(target, field.name)
    below = WHOLE if part.whole else part.at(EVERY) or NOTHING
    if below.whole:
        del kept[:]
        kept.extend(given)
        return
    del kept[len(given) :]
    for index, element in enumerate(given):
        merge(below, element, kept[index] if index < len(kept) else kept.add())


def _merge_map(part: Mask, field: FieldDescriptor, source: Message, target: Message) -> None:
    given, kept = getattr(source, field.name), getattr(target, field.name)
    every = part.whole or part.at(EVERY) is not None
    value = shape_of(field).value
    for key in {*given, *kept}:
        below = part.at(key_text(key))
        if below is None:
            continue
        if key not in given and (every or below.whole):
            kept.pop(key)
        elif value is not None and value.message_type is None:
            kept[key] = given[key]
        else:
            _merge_value(below, given[key] if key in given else _empty(kept[key]), kept[key])


def _empty(message: Message) -> Message:
    return type(message)()


def populated(message: Message) -> Mask:
    """Return the mask of an update that gives none (AIP-134): what has a value, down to fields of messages.

    Lists, maps and times count as one value.
    """
    parts: dict[str, Mask] = {}
    for field, value in message.ListFields():
        if behaviors_of(field) & UNWRITABLE:
            continue
        part = populated(value) if is_composite(field) else WHOLE
        if part.parts != {}:
            parts[field.name] = part
    return Mask(parts)


def is_composite(field: FieldDescriptor) -> bool:
    """Whether a value of the field is a message whose fields stand for themselves."""
    shape = shape_of(field)
    well_known = shape.message is not None and shape.message.full_name.startswith("google.protobuf.")
    return shape.kind is Kind.MESSAGE and not shape.repeated and shape.message is not None and not well_known


def stored_fields(mask: Mask, resource: Resource) -> tuple[Field, ...]:
    """Return the fields of which an update with this mask writes the columns, in the order of their numbers."""
    return tuple(
        field
        for field in resource.stored
        if field.role is not Role.NAME and not field.output_only and mask.at(field.name) is not None
    )


def immutable_violations(
    mask: Mask, resource: Resource, old: Message, new: Message, *, at: str = ""
) -> list[Violation]:
    """Return a violation for each IMMUTABLE field that an update would change (AIP-203); equal values are fine.

    `old` is the stored message, `new` the one of the request, `at` the request's field that holds it.
    Fields inside lists and maps are not compared one by one.
    """
    if resource.descriptor is None or not holds(resource.descriptor, Behavior.IMMUTABLE):
        return []
    merged = type(old)()
    merged.CopyFrom(old)
    merge(mask, new, merged)
    return [_immutable(path) for path in _changed(old, merged, f"{at}." if at else "")]


def _immutable(path: str) -> Violation:
    return Violation(path, "cannot be changed after creation; leave it out", "IMMUTABLE_FIELD")


def _changed(old: Message, new: Message, prefix: str) -> Iterator[str]:
    for field in descriptor_of(old).fields:
        path = prefix + field.name
        if Behavior.IMMUTABLE in behaviors_of(field):
            if not _same(field, old, new):
                yield path
        elif is_composite(field) and old.HasField(field.name):
            yield from _changed(getattr(old, field.name), getattr(new, field.name), f"{path}.")


def _same(field: FieldDescriptor, old: Message, new: Message) -> bool:
    if field.has_presence and old.HasField(field.name) is not new.HasField(field.name):
        return False
    return bool(getattr(old, field.name) == getattr(new, field.name))
