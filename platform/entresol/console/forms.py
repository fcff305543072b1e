"""Forms made of the schema, and requests made of forms: a field is what its type, its options and its comment say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from entresol.errors import InvalidArgumentError, Violation
from entresol.redaction import HIDDEN, is_marked
from entresol.schema.model import UNWRITABLE, Behavior, Kind, Resource
from entresol.schema.shapes import Shape, behaviors_of, shape_of

FIELD, WAS = "field.", "was."  # how inputs are called that hold a field, and what it was
_NUMBERS = frozenset({Kind.INT, Kind.FLOAT, Kind.DOUBLE})
_HINTS: Mapping[Kind, str] = {
    Kind.TIMESTAMP: "2026-01-31T12:00:00Z",
    Kind.DURATION: "90s",
    Kind.BYTES: "base64",
    Kind.MAP: '{"key": "value"}',
    Kind.MESSAGE: "{}",
}
_LONG = 120  # characters, from which a text has an area


@dataclass(frozen=True, slots=True)
class Input:
    """One field as a form shows it. `kind` is line, area or choice."""

    name: str
    kind: str
    type: str
    help: str
    value: str
    was: str
    hint: str = ""
    choices: Sequence[str] = ()
    is_required: bool = False
    is_fixed: bool = False  # it can be set, and not changed
    is_hidden: bool = False
    error: str = ""


def inputs(
    fields: Iterable[FieldDescriptor],
    comments: Mapping[str, str],
    values: Mapping[str, Any],
    form: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    fixed: bool = False,
) -> list[Input]:
    """Return an input for each field: what was filled in, else its value. `fixed` leaves out what never changes."""
    return [
        _input(field, comments, values, form, errors)
        for field in fields
        if not fixed or Behavior.IMMUTABLE not in behaviors_of(field)
    ]


def _input(
    field: FieldDescriptor,
    comments: Mapping[str, str],
    values: Mapping[str, Any],
    form: Mapping[str, str],
    errors: Mapping[str, str],
) -> Input:
    shape, behaviors = shape_of(field), behaviors_of(field)
    is_hidden = is_marked(field)
    was = "" if is_hidden else text_of(shape, values.get(field.name))
    given = form.get(FIELD + field.name)
    return Input(
        field.name,
        _kind(shape, was),
        type_of(field),
        comments.get(field.full_name, ""),
        was if given is None or is_hidden else given,  # what is hidden is not told back, even to who typed it
        form.get(WAS + field.name, was),
        HIDDEN if is_hidden else "one on each line" if _is_lines(shape) else _HINTS.get(shape.kind, ""),
        _choices(shape),
        Behavior.REQUIRED in behaviors,
        Behavior.IMMUTABLE in behaviors,
        is_hidden,
        errors.get(field.name, ""),
    )


def writable(resource: Resource) -> list[FieldDescriptor]:
    """Return the fields that people fill in."""
    assert resource.descriptor is not None
    return [
        field
        for field in resource.descriptor.fields
        if not behaviors_of(field) & UNWRITABLE and field.name != "etag"
    ]


def type_of(field: FieldDescriptor) -> str:
    """Return what a field holds, as protos say it."""
    shape = shape_of(field)
    if shape.kind is Kind.MAP and shape.key is not None and shape.value is not None:
        return f"map<{type_of(shape.key)}, {type_of(shape.value)}>"
    if shape.kind is Kind.ENUM and shape.enum is not None:
        one = shape.enum.name
    elif shape.kind is Kind.MESSAGE and shape.message is not None:
        one = shape.message.full_name
    elif shape.kind is Kind.INT:
        one = f"{'' if shape.signed else 'u'}int{shape.bits}"
    else:
        one = shape.kind.value
    return f"repeated {one}" if shape.repeated else one


def filled(
    fields: Iterable[FieldDescriptor], form: Mapping[str, str], *, changed: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Return the JSON of what was filled in, and the fields that it tells of; with `changed`, of those that differ.

    Raises:
        InvalidArgumentError: what must be JSON is none.
    """
    told: dict[str, Any] = {}
    names, wrong = [], []
    for field in fields:
        text = form.get(FIELD + field.name)
        if text is None or (changed and _same(text, form.get(WAS + field.name, ""))):
            continue
        names.append(field.name)
        try:
            value = _value(shape_of(field), text)
        except ValueError as error:
            wrong.append(Violation(field.name, f"is not JSON: {error}"))
        else:
            if value is not None:
                told[field.json_name] = value
    if wrong:
        raise InvalidArgumentError(wrong)
    return told, names


def text_of(shape: Shape, value: Any) -> str:
    """Return a JSON value as an input holds it."""
    if value is None:
        return ""
    if _is_lines(shape):
        return "\n".join(map(_plain, value))
    return (
        json.dumps(value, ensure_ascii=False, indent=2) if isinstance(value, dict | list) else _plain(value)
    )


def own_errors(
    violations: Mapping[str, str], within: str, fields: Set[str]
) -> tuple[dict[str, str], list[str]]:
    """Return what is wrong by the field that shows it, and what no field does."""
    found: dict[str, str] = {}
    others = []
    for path, text in violations.items():
        first = path.removeprefix(f"{within}.").partition(".")[0].partition("[")[0]
        name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in first)
        if name in fields:
            found[name] = text
        else:
            others.append(f"{path}: {text}")
    return found, others


def _value(shape: Shape, text: str) -> Any:
    """Return the JSON of what an input holds; None of what is left empty."""
    if _is_lines(shape):
        return [_scalar(shape, line) for line in text.splitlines() if line] or None
    if not text and shape.kind is not Kind.STRING:
        return None
    if shape.repeated or shape.kind in (Kind.MAP, Kind.MESSAGE):
        return json.loads(text)
    return _scalar(shape, text) if text or not shape.presence else None


def _scalar(shape: Shape, text: str) -> Any:
    if shape.kind is Kind.STRING:
        return text.replace("\r\n", "\n")
    if shape.kind is Kind.BOOL:
        return {"true": True, "false": False}.get(text.strip(), text)
    if shape.kind in _NUMBERS:
        try:
            return json.loads(text)
        except ValueError:
            return text  # of which the call says what is wrong
    return text.strip()


def _same(text: str, was: str) -> bool:
    return text.replace("\r\n", "\n") == was.replace("\r\n", "\n")


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_lines(shape: Shape) -> bool:
    return shape.repeated and shape.kind not in (Kind.MESSAGE, Kind.MAP)


def _kind(shape: Shape, was: str) -> str:
    if _choices(shape):
        return "choice"
    is_long = shape.repeated or shape.kind in (Kind.MAP, Kind.MESSAGE) or len(was) > _LONG or "\n" in was
    return "area" if is_long else "line"


def _choices(shape: Shape) -> Sequence[str]:
    if shape.repeated:
        return ()
    if shape.kind is Kind.BOOL:
        return ("", "true", "false") if shape.presence else ("false", "true")
    if shape.kind is Kind.ENUM and shape.enum is not None:
        names = [value.name for value in shape.enum.values]
        return ["", *names] if shape.presence else names
    return ()
