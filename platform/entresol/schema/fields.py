"""From a field's descriptor and options to a `Field` of the model."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from entresol.schema import options
from entresol.schema.columns import Scalar, column_type, is_map, is_wrapper, scalar_of
from entresol.schema.model import Column, Field, Kind, OnDelete, Reference, Role
from entresol.schema.source import Source

_ROLE_KIND = {
    Role.NAME: Kind.STRING,
    Role.UID: Kind.STRING,
    Role.ETAG: Kind.STRING,
    Role.CREATE_TIME: Kind.TIMESTAMP,
    Role.UPDATE_TIME: Kind.TIMESTAMP,
    Role.DELETE_TIME: Kind.TIMESTAMP,
    Role.PURGE_TIME: Kind.TIMESTAMP,
    Role.EXPIRE_TIME: Kind.TIMESTAMP,
}
_ROLES = {role.value: role for role in Role}
ANY_TYPE = "*"


def read_field(source: Source, descriptor: FieldDescriptor) -> Field:
    """Return the field of a resource's message."""
    scalar = Scalar(Kind.MAP, "jsonb", None) if is_map(descriptor) else scalar_of(descriptor)
    role = _role(descriptor, scalar.kind)
    reference = _reference(source, descriptor)
    return Field(
        name=descriptor.name,
        number=descriptor.number,
        kind=scalar.kind,
        column=_column(source, descriptor, role, reference),
        behaviors=options.behaviors(source, descriptor),
        descriptor=descriptor,
        repeated=descriptor.is_repeated and scalar.kind is not Kind.MAP,
        wrapper=is_wrapper(descriptor),
        presence=descriptor.has_presence,
        bits=scalar.bits,
        signed=scalar.signed,
        oneof=oneof_of(descriptor),
        reference=reference,
        role=role,
        enum=descriptor.enum_type,
    )


def expected_kind(name: str) -> Kind | None:
    """Return what a standard field of this name must hold (AIP-148); None for any other name."""
    role = _ROLES.get(name)
    return None if role is None else _ROLE_KIND[role]


def oneof_of(descriptor: FieldDescriptor) -> str | None:
    """Return the name of the oneof the field belongs to; the one that `optional` makes does not count."""
    oneof = descriptor.containing_oneof
    if oneof is None or oneof.name == f"_{descriptor.name}":
        return None
    return oneof.name


def _role(descriptor: FieldDescriptor, kind: Kind) -> Role | None:
    role = _ROLES.get(descriptor.name)
    plain = not descriptor.is_repeated and not is_wrapper(descriptor)
    fits = plain and role is not None and _ROLE_KIND[role] is kind
    return role if fits else None


def _reference(source: Source, descriptor: FieldDescriptor) -> Reference | None:
    annotation = source.option(descriptor, options.REFERENCE)
    if annotation is None:
        return None
    given = _storage(source, descriptor, "on_delete", 0)
    default = OnDelete.IGNORE if annotation.type == ANY_TYPE else OnDelete.RESTRICT
    kind = annotation.type or annotation.child_type
    return Reference(kind, options.choice(OnDelete, given, default))


def _column(
    source: Source, descriptor: FieldDescriptor, role: Role | None, reference: Reference | None
) -> Column | None:
    if role is Role.ETAG:
        return None  # computed from row_version
    if role is Role.NAME:
        return Column("name", "text", nullable=False)
    mapped, zero = column_type(descriptor)
    # An empty reference is stored as NULL, so that a foreign key can stand on the column.
    empty_is_null = reference is not None and not descriptor.is_repeated
    nullable = zero is None or descriptor.has_presence or empty_is_null
    return Column(
        name=_storage(source, descriptor, "column", "") or descriptor.name,
        type=_storage(source, descriptor, "column_type", "") or mapped,
        nullable=nullable,
        default=None if nullable else zero,
    )


def _storage(source: Source, descriptor: FieldDescriptor, name: str, default: Any) -> Any:
    option = source.option(descriptor, options.FIELD)
    return default if option is None else getattr(option, name)
