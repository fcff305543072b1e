"""Valid example records of any resource, made from its proto alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message

from entresol.schema.model import Behavior, Field, Kind, Model, Resource

_counter = itertools.count(1)
_SERVER_SIDE = frozenset({Behavior.OUTPUT_ONLY, Behavior.IDENTIFIER, Behavior.INPUT_ONLY})
_SCALARS: Mapping[Kind, Callable[[Field], Any]] = {
    Kind.STRING: lambda field: f"example {next(_counter)}",
    Kind.BYTES: lambda field: b"example",
    Kind.BOOL: lambda field: True,
    Kind.INT: lambda field: 1,
    Kind.FLOAT: lambda field: 1.0,
    Kind.DOUBLE: lambda field: 1.0,
    Kind.ENUM: lambda field: _first_value(field),
}


def _first_value(field: Field) -> int:
    assert field.enum is not None
    return next((value.number for value in field.enum.values if value.number), 0)


def example_id(resource: Resource) -> str:
    """Return an id nobody has used."""
    return f"{resource.singular.lower()}-{next(_counter)}"


def example(
    model: Model,
    resource: Resource,
    referred: Callable[[Resource], str],
    values: Mapping[str, Any] | None = None,
) -> Message:
    """Return a message with every required field filled, and `values` where given.

    `referred` makes a record of another resource and returns its name; it is called for each required reference.
    """
    message = resource.message_class(**(values or {}))
    for field in resource.fields:
        if field.required and field.role is None and not (values and field.name in values):
            _fill(message, field, model, referred)
    filler = _plain(resource, _SERVER_SIDE)
    if not message.ListFields() and filler is not None:
        setattr(message, filler.name, other_value(filler))  # a required message must hold something (AIP-203)
    return message


def changeable(resource: Resource) -> Field | None:
    """Return a plain field that an update may change, or None when the resource has none."""
    return _plain(resource, _SERVER_SIDE | {Behavior.IMMUTABLE})


def _plain(resource: Resource, without: frozenset[Behavior]) -> Field | None:
    """Return a text or number of the caller's own that has none of these behaviors."""
    for field in resource.stored:
        free = not field.behaviors & without and field.reference is None and field.role is None
        if free and not field.repeated and not field.wrapper and field.kind in (Kind.STRING, Kind.INT):
            return field
    return None


def other_value(field: Field) -> Any:
    """Return a new value for a field of `changeable`."""
    return _SCALARS[field.kind](field) if field.kind is Kind.STRING else next(_counter)


def _fill(message: Message, field: Field, model: Model, referred: Callable[[Resource], str]) -> None:
    if field.reference is not None and field.reference.type in model.resources:
        value: Any = referred(model.resources[field.reference.type])
    elif field.kind is Kind.TIMESTAMP:
        getattr(message, field.name).FromSeconds(1_700_000_000)
        return
    elif field.kind in (Kind.MESSAGE, Kind.DURATION, Kind.MAP):
        getattr(message, field.name).SetInParent()
        return
    else:
        value = _SCALARS[field.kind](field)
    if field.repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)
