"""Paths of field masks (AIP-161) to trees, checked against the message: `printer.town`, ``labels.`odd key` ``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.errors import InvalidArgumentError, Violation
from entresol.schema.mask_tree import EVERY, NOTHING, WHOLE, Mask, branch, union
from entresol.schema.model import UNWRITABLE, Kind
from entresol.schema.shapes import behaviors_of, shape_of

WRITE_FIELD = "update_mask"
READ_FIELD = "read_mask"
PATHS_MAX = 1000
SEGMENTS_MAX = 32
_SEGMENT = re.compile(r"`((?:[^`]|``)*)`|([^.`,]+)")
_INDEX = re.compile(r"-?[0-9]+")
_SHOWN_MAX = 80


@dataclass(frozen=True, slots=True)
class _Segment:
    text: str
    quoted: bool = False


_EVERYTHING = _Segment(EVERY)
# Inside a message, at the elements of a map or list, or at a value without fields.
_Place: TypeAlias = Descriptor | FieldDescriptor | None


class _ImpossibleError(Exception):
    """The path leads nowhere: refused when writing, ignored when reading."""


class _RefusedError(Exception):
    """The path is wrong whatever it is for."""


def parse_mask(paths: Iterable[str], descriptor: Descriptor, *, write: bool) -> Mask:
    """Return the mask of `paths`, which are relative to the message of `descriptor`; with none, everything.

    Writing drops what only the server sets and the name, and an update without a mask is not everything: use
    `populated` when there are no paths. Reading ignores paths that lead nowhere.

    Raises: InvalidArgumentError: of `update_mask` or `read_mask`: every path with bad syntax, an index into
    a list, or, when writing, without a field.
    """
    found = list(paths)
    if not found:
        return WHOLE
    field = WRITE_FIELD if write else READ_FIELD
    if len(found) > PATHS_MAX:
        raise InvalidArgumentError.of(
            field, f"has {len(found)} paths; at most {PATHS_MAX} are read", "INVALID_MASK"
        )
    masks: list[Mask] = []
    violations: list[Violation] = []
    for path in found:
        try:
            read = _mask if len(path) > _SHOWN_MAX else _remembered
            masks.append(read(path, descriptor, write=write))
        except _ImpossibleError as error:
            violations += [_violation(field, path, error)] if write else []
        except _RefusedError as error:
            violations.append(_violation(field, path, error))
    if violations:
        raise InvalidArgumentError(violations)
    return reduce(union, masks, NOTHING)


def _violation(field: str, path: str, error: Exception) -> Violation:
    shown = path if len(path) <= _SHOWN_MAX else path[:_SHOWN_MAX] + "..."
    return Violation(field, f"{shown!r}: {error}", "INVALID_MASK")


def parse_mask_text(text: str, descriptor: Descriptor) -> Mask:
    """Return the mask for reading of paths joined by commas, as metadata and `$fields` carry them.

    Raises:
        InvalidArgumentError: as `parse_mask`.
    """
    return parse_mask(split_paths(text), descriptor, write=False)


def split_paths(text: str) -> list[str]:
    """Split at commas outside of back-quotes."""
    parts = re.findall(r"(?:`[^`]*`?|[^,`])+", text)
    return [part.strip() for part in parts if part.strip()]


def _mask(path: str, descriptor: Descriptor, *, write: bool) -> Mask:
    if path == EVERY:
        return WHOLE
    names = _resolve(_segments(path), descriptor, write=write)
    return NOTHING if names is None else branch(names)


# The same few fields are written again and again.
_remembered = lru_cache(maxsize=4096)(_mask)


def _segments(path: str) -> list[_Segment]:
    segments: list[_Segment] = []
    at = 0
    while len(segments) < SEGMENTS_MAX:
        match = _SEGMENT.match(path, at)
        if match is None:
            raise _RefusedError(
                f"expected a field or a key at position {at + 1}; put odd keys in back-quotes"
            )
        segments.append(
            _Segment(match[0] if match[1] is None else match[1].replace("``", "`"), match[1] is not None)
        )
        at = match.end() + 1
        if match.end() == len(path):
            return segments
        if path[match.end()] != ".":
            raise _RefusedError(f"expected a dot at position {at}")
    raise _RefusedError(f"is deeper than {SEGMENTS_MAX} fields")


def _resolve(segments: Sequence[_Segment], message: Descriptor, *, write: bool) -> tuple[str, ...] | None:
    """Return the names along a path; None when writing is to leave alone what it leads to."""
    names: list[str] = []
    place: _Place = message
    for segment in segments:
        if isinstance(place, Descriptor):
            if segment == _EVERYTHING:
                place = None  # all fields of the message: the message itself
                continue
            field = _field(place, segment)
            if write and behaviors_of(field) & UNWRITABLE:
                return None
            names.append(field.name)
            place = _inside(field)
        elif place is None:
            raise _ImpossibleError(f"{segment.text} is below something that has no fields")
        else:
            names.append(_element(place, segment))
            place = _inside_element(place)
    return tuple(names)


def _field(message: Descriptor, segment: _Segment) -> FieldDescriptor:
    """Return the field of this name, or of this name in JSON."""
    text = segment.text
    field = message.fields_by_name.get(text) or message.fields_by_camelcase_name.get(text)
    if field is None:
        raise _ImpossibleError(f"{message.full_name} has no field {text[:_SHOWN_MAX]!r}")
    return field


def _inside(field: FieldDescriptor) -> _Place:
    shape = shape_of(field)
    return field if shape.kind is Kind.MAP or shape.repeated else field.message_type


def _inside_element(field: FieldDescriptor) -> _Place:
    value = shape_of(field).value
    return field.message_type if value is None else value.message_type


def _element(field: FieldDescriptor, segment: _Segment) -> str:
    """Return a key of a map, as text, or `*`."""
    if segment == _EVERYTHING:
        return EVERY
    key = shape_of(field).key
    if key is None:
        what = "an index" if _INDEX.fullmatch(segment.text) else f"{segment.text[:_SHOWN_MAX]!r}"
        raise _RefusedError(
            f"{field.name} is a list, in which {what} leads nowhere; name the list, or {field.name}.*"
        )
    return _key(key, field, segment.text)


def _key(key: FieldDescriptor, field: FieldDescriptor, text: str) -> str:
    kind = shape_of(key).kind
    if kind is Kind.INT and not _INDEX.fullmatch(text):
        raise _ImpossibleError(f"the keys of {field.name} are whole numbers")
    if kind is Kind.BOOL and text not in ("true", "false"):
        raise _ImpossibleError(f"the keys of {field.name} are true and false")
    return str(int(text)) if kind is Kind.INT else text
