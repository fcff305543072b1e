"""Meaning of a filter's words: names to paths, literals to values, each checked against the fields."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from google.protobuf.descriptor import Descriptor

from entresol.errors import InvalidArgumentError
from entresol.schema.filter_ast import Compare, FieldPath, Filter, Has, Like, Operator, Present, Search, Value
from entresol.schema.filter_lexer import WILDCARD, Token, Word, fault
from entresol.schema.filter_parser import Restriction, shown
from entresol.schema.filter_values import convert, is_number
from entresol.schema.model import Behavior, Field, Kind, Resource
from entresol.schema.shapes import Shape, behaviors_of, shape_of

_HAS = ":"
_ORDERED = frozenset({Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL})
_UNORDERED = frozenset({Kind.BOOL, Kind.ENUM, Kind.BYTES})
_JSONB = "jsonb"
# ProtoJSON writes these in forms of their own, not as objects of their fields.
_OPAQUE = frozenset({"google.protobuf.Any", "google.protobuf.FieldMask", "google.protobuf.ListValue"})
_DYNAMIC = frozenset({"google.protobuf.Struct", "google.protobuf.Value"})
_DEFAULTS: dict[Kind, Value] = {
    Kind.STRING: "",
    Kind.BYTES: b"",
    Kind.BOOL: False,
    Kind.INT: 0,
    Kind.FLOAT: 0.0,
    Kind.DOUBLE: 0.0,
    Kind.ENUM: 0,
}
_BOOL_KEYS = frozenset({"true", "false"})


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the names read so far lead. `shape` is None inside a Struct, where only rows know types."""

    label: str
    field: Field | None
    steps: tuple[str, ...]
    shape: Shape | None
    in_json: bool
    map_key: bool = False

    def below(self, step: str, shape: Shape | None, *, map_key: bool = False) -> _Place:
        """Return the place one step further down in jsonb."""
        label = f"{self.label}.{step}" if self.label else step
        return _Place(label, self.field, (*self.steps, step), shape, in_json=True, map_key=map_key)

    def element(self) -> _Place:
        """Return the place that stands for one element of this repeated one."""
        assert self.shape is not None
        return _Place(self.label, None, (), replace(self.shape, repeated=False), in_json=self.in_json)


def restriction(node: Restriction, resource: Resource) -> Filter:
    """Return the meaning of one comparison or bare word.

    Raises:
        InvalidArgumentError: no such field, not to be filtered so, or a value of another type.
    """
    if node.operator is None or node.value is None:
        return _search(node.names, resource)
    place = _column(node.names[0], resource)
    return _walk(place, node.names[1:], node.operator, node.value)


def _search(names: Sequence[Token], resource: Resource) -> Search:
    text = ".".join(token.text for token in names)
    first = names[0]
    if text in ("&&", "||"):
        raise fault(first.position, f"{text} is not known; write {'AND' if text == '&&' else 'OR'}")
    if any(len(token.parts) > 1 for token in names):
        raise fault(
            first.position, "wildcards stand only in values; a bare word is found anywhere in a text as it is"
        )
    if not resource.search_fields:
        raise fault(
            first.position,
            f"{resource.plural} have no fields to search for {shown(first)}; write field = value",
        )
    return Search(text, tuple(resource.by_name[name] for name in resource.search_fields))


def _column(token: Token, resource: Resource) -> _Place:
    field = resource.by_name.get(token.text)
    if field is None:
        raise _no_field(token, [field.name for field in resource.fields], resource.message)
    _refuse_input_only(field.behaviors, token)
    if field.column is None:
        raise fault(token.position, f"{field.name} is computed and cannot be filtered")
    return _Place(field.name, field, (), shape_of(field.descriptor), in_json=field.column.type == _JSONB)


def _refuse_input_only(behaviors: frozenset[Behavior], token: Token) -> None:
    if Behavior.INPUT_ONLY in behaviors:
        raise fault(token.position, f"{token.text} is only accepted, never shown, and cannot be filtered")


def _no_field(token: Token, names: list[str], message: str) -> InvalidArgumentError:
    near = difflib.get_close_matches(token.text[:64], names, n=1)
    remedy = f"; did you mean {near[0]}?" if near else f"; its fields are {', '.join(names)}" if names else ""
    return fault(token.position, f"{message} has no field {shown(token)}{remedy}")


def _walk(place: _Place, names: Sequence[Token], operator: str, value: Token) -> Filter:
    for index, name in enumerate(names):
        if place.shape is not None and place.shape.repeated:
            _require_has(place, operator, name)
            return Has(_path(place), _walk(place.element(), names[index:], operator, value))
        place = _step(place, name)
    return _has(place, value) if operator == _HAS else _compare(place, Operator(operator), value)


def _require_has(place: _Place, operator: str, name: Token) -> None:
    if operator != _HAS:
        text = f"{place.label} is repeated: write {place.label}.{name.text}:value for some element"
        raise fault(name.position, text)


def _step(place: _Place, name: Token) -> _Place:
    shape = place.shape
    if shape is None:
        return place.below(name.text, None, map_key=True)
    if shape.kind is Kind.MAP:
        return _map_step(place, name)
    if shape.kind is not Kind.MESSAGE or shape.message is None or shape.message.full_name in _OPAQUE:
        raise fault(name.position, f"{place.label} has no fields, so {shown(name)} leads nowhere")
    if shape.message.full_name in _DYNAMIC:
        return place.below(name.text, None, map_key=True)
    return _message_step(place, shape.message, name)


def _message_step(place: _Place, message: Descriptor, name: Token) -> _Place:
    descriptor = message.fields_by_name.get(name.text)
    if descriptor is None:
        raise _no_field(name, [field.name for field in message.fields], message.full_name)
    _refuse_input_only(behaviors_of(descriptor), name)
    return place.below(name.text, shape_of(descriptor))


def _map_step(place: _Place, name: Token) -> _Place:
    assert place.shape is not None
    assert place.shape.key is not None
    assert place.shape.value is not None
    if len(name.parts) > 1:
        raise fault(name.position, "wildcards stand only in values, not in keys")
    return place.below(
        _key(name, shape_of(place.shape.key), place), shape_of(place.shape.value), map_key=True
    )


def _key(name: Token, shape: Shape, place: _Place) -> str:
    """Return a map's key as ProtoJSON writes it."""
    if shape.kind is Kind.INT:
        return str(convert(replace(name, word=Word.TEXT), shape, f"a key of {place.label}", in_json=True))
    if shape.kind is Kind.BOOL and name.text not in _BOOL_KEYS:
        raise fault(name.position, f"the keys of {place.label} are true and false, found {shown(name)}")
    return name.text


def _path(place: _Place) -> FieldPath:
    """Return the path of a place; of one inside a Struct, that of a string."""
    shape = place.shape or Shape(Kind.STRING)
    return FieldPath(
        place.field,
        place.steps,
        shape.kind,
        repeated=shape.repeated,
        absent=_absent(place),
        in_json=place.in_json,
        bits=shape.bits,
        signed=shape.signed,
        map_key=place.map_key,
        dynamic=_is_dynamic(place),
    )


def _absent(place: _Place) -> Value | None:
    shape = place.shape
    if shape is None or shape.presence or shape.repeated or place.map_key:
        return None
    if shape.enum is not None and place.in_json:
        return str(shape.enum.values_by_number[0].name)
    return _DEFAULTS.get(shape.kind)


def _is_dynamic(place: _Place) -> bool:
    return place.shape is None or (
        place.shape.message is not None and place.shape.message.full_name == "google.protobuf.Value"
    )


def _has(place: _Place, value: Token) -> Filter:
    if value.text == WILDCARD and not value.quoted:
        return Present(_path(place))
    if _is_dynamic(place):
        return _equals(place, Operator.EQUAL, value)
    assert place.shape is not None
    if place.shape.repeated:
        return Has(_path(place), _some_element(place, value))
    if place.shape.kind in (Kind.MAP, Kind.MESSAGE):
        return Present(_path(_step(place, value)))
    return _equals(place, Operator.EQUAL, value)


def _some_element(place: _Place, value: Token) -> Filter:
    assert place.shape is not None
    if place.shape.kind is Kind.MESSAGE:
        text = f"the elements of {place.label} are messages: write {place.label}.field:value"
        raise fault(value.position, text)
    return _equals(place.element(), Operator.EQUAL, value)


def _compare(place: _Place, operator: Operator, value: Token) -> Filter:
    if not _is_dynamic(place):
        _refuse_compound(place, value)
        assert place.shape is not None
        if operator in _ORDERED and place.shape.kind in _UNORDERED:
            text = f"{place.label} has no order: it is compared with = and !=, not {operator.value}"
            raise fault(value.position, text)
    return _equals(place, operator, value)


def _refuse_compound(place: _Place, value: Token) -> None:
    assert place.shape is not None
    label = place.label
    if place.shape.repeated:
        raise fault(value.position, f"{label} is repeated: write {label}:value for some element")
    if place.shape.kind is Kind.MAP:
        raise fault(value.position, f"{label} is a map: write {label}.key = value, or {label}:key")
    if place.shape.kind is Kind.MESSAGE:
        raise fault(value.position, f"{label} is a message: compare one of its fields, or write {label}:*")


def _equals(place: _Place, operator: Operator, value: Token) -> Filter:
    """Return the comparison, as a pattern when a string is (un)equal to a value with wildcards."""
    path = _path(place)
    if _is_dynamic(place):
        path, shape = _guess(path, operator, value)
    else:
        assert place.shape is not None
        shape = place.shape
    if shape.kind is Kind.STRING and len(value.parts) > 1 and operator not in _ORDERED:
        return Like(path, _pattern(value), negated=operator is Operator.NOT_EQUAL)
    return Compare(path, operator, convert(value, shape, place.label, in_json=place.in_json))


def _guess(path: FieldPath, operator: Operator, value: Token) -> tuple[FieldPath, Shape]:
    """Return what a literal makes of a place in a Struct: true, 4.2, or else text."""
    kind = Kind.STRING
    if not value.quoted and value.text in _BOOL_KEYS and operator not in _ORDERED:
        kind = Kind.BOOL
    elif is_number(value):
        kind = Kind.DOUBLE
    return replace(path, kind=kind), Shape(kind)


def _pattern(value: Token) -> str:
    escaped = (part.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") for part in value.parts)
    return "%".join(escaped)
