"""Row to message and back, compiled once per resource: what is stored is returned byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from google.protobuf import message_factory
from google.protobuf.message import Message

from entresol.clock import time_of_id
from entresol.errors import InvalidArgumentError
from entresol.schema.clearing import clear_input_only
from entresol.schema.model import Behavior, Field, OnDelete, Resource, Role
from entresol.schema.names import parent_of
from entresol.schema.shapes import holds
from entresol.storage import row_values
from entresol.storage.connections import Record

# Fields that SQL sets by itself, from the transaction's time.
STAMPED = frozenset({Role.CREATE_TIME, Role.UPDATE_TIME, Role.DELETE_TIME, Role.PURGE_TIME})
# An event has its time from its id, so that its name tells the day where it is kept.
_STAMPED_EVENT = STAMPED - {Role.CREATE_TIME}
EVENT_VERSION = 1
_FIXED = frozenset({Role.NAME, Role.UID, Role.ETAG}) | STAMPED

Read = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Row:
    """A record as it is stored: `message` is the serialized resource, etag included."""

    name: str
    version: int
    message: bytes


def name_of_record(message: Any) -> str:
    """Return the name that a record carries; every resource's message has the field."""
    return str(message.name)


def time_of_name(name: str) -> datetime | None:
    """Return when the server made the id that `name` ends with; None when it did not."""
    return time_of_id(name.rpartition("/")[2])


def etag(version: int) -> str:
    """Return the etag of a row version (RFC 7232, quotes included)."""
    return f'"{version:016x}"'


@dataclass(frozen=True)
class RowCodec:
    """The columns of one resource, in the order in which every statement names them."""

    resource: Resource

    @cached_property
    def read_fields(self) -> tuple[Field, ...]:
        """Return the fields that a read returns: all that are stored, save those that are INPUT_ONLY."""
        return tuple(field for field in self.resource.stored if not field.input_only)

    @cached_property
    def insert_fields(self) -> tuple[Field, ...]:
        """Return the fields whose values an insert is given."""
        stamped = _STAMPED_EVENT if self.resource.events else STAMPED
        return tuple(field for field in self.resource.stored if field.role not in stamped)

    def update_fields(self, fields: Sequence[Field]) -> tuple[Field, ...]:
        """Return those of `fields` that an update can change, each once, in the order of the columns."""
        numbers = {field.number for field in fields}
        return tuple(
            field for field in self.resource.stored if field.number in numbers and field.role not in _FIXED
        )

    def row(self, record: Record | Sequence[Any], *, hidden: bool = False) -> Row:
        """Return the row of a record whose columns are those of `read_fields`, then `row_version`.

        What is INPUT_ONLY inside of messages is there only with `hidden`, for merging; such a row goes to nobody.
        """
        values: dict[str, Any] = {}
        documents: dict[str, str] = {}
        for index, (name, decode, short) in enumerate(self._decoders):
            value = record[index]
            if value is None:
                continue
            if short is None:
                values[name] = decode(value) if decode else value
            elif (plain := short(value)) is not None:
                values[name] = plain
            else:
                documents[name] = value
        version: int = record[len(self._decoders)]
        if self._etag_name:
            values[self._etag_name] = etag(version)
        message = self.resource.message_class(**values)
        if documents:
            row_values.from_json(documents, message)
            if self._hides and not hidden:
                clear_input_only(message)
        return Row(values[self._name], version, message.SerializeToString(deterministic=True))

    def values(self, message: Message, fields: Sequence[Field]) -> tuple[object, ...]:
        """Return the column values of `fields` in `message`.

        Raises:
            InvalidArgumentError: a column cannot hold a value exactly.
        """
        readers = self._readers
        return tuple([readers[field.number](message) for field in fields])

    def written(self, values: Sequence[object]) -> Row:
        """Return the row that an event becomes which is inserted with these values of `insert_fields`."""
        return self.row((*[values[at] for at in self._places], EVENT_VERSION))

    def parent(self, name: str) -> str:
        """Return the name of the parent of the record called `name`."""
        for pattern in self.resource.patterns:
            if pattern.parse(name) is not None:
                return parent_of(name, pattern)
        raise InvalidArgumentError.of("name", f"{name!r} is not of the form {self.resource.patterns[0].text}")

    @cached_property
    def _places(self) -> tuple[int, ...]:
        """Return where in the values of an insert those of `read_fields` are."""
        return tuple(self.insert_fields.index(field) for field in self.read_fields)

    @cached_property
    def _hides(self) -> bool:
        descriptor = self.resource.descriptor
        return descriptor is not None and holds(descriptor, Behavior.INPUT_ONLY)

    @cached_property
    def _name(self) -> str:
        return self.resource.by_role[Role.NAME].name

    @cached_property
    def _etag_name(self) -> str | None:
        field = self.resource.by_role.get(Role.ETAG)
        return field.name if field else None

    @cached_property
    def _decoders(self) -> tuple[tuple[str, row_values.Convert | None, row_values.Convert | None], ...]:
        """Return name and decoder of each column; of jsonb, what reads its plain texts."""
        return tuple(
            (
                field.name,
                _field_decoder(field),
                row_values.short(field) if row_values.in_json(field) else None,
            )
            for field in self.read_fields
        )

    @cached_property
    def _readers(self) -> dict[int, Read]:
        readers = {field.number: _reader(field) for field in self.resource.stored}
        if self.resource.events:
            readers[self.resource.by_role[Role.CREATE_TIME].number] = _event_time
        return readers


def _field_decoder(field: Field) -> row_values.Convert | None:
    decode = row_values.decoder(field)
    if field.repeated and decode is not None:
        each = decode
        return lambda values: [each(value) for value in values]
    if field.wrapper:
        message_class = message_factory.GetMessageClass(row_values.message_type(field))
        return lambda value: message_class(value=decode(value) if decode else value)
    return decode


def _reader(field: Field) -> Read:
    """Return what reads the column value of `field` from a message."""
    name = field.name
    if row_values.in_json(field):
        return _json_reader(field)
    encode = row_values.encoder(field) or _same
    if field.repeated:
        return lambda message: [encode(value) for value in getattr(message, name)]
    if field.wrapper:
        return lambda message: encode(getattr(message, name).value) if message.HasField(name) else None
    if field.reference is not None and (
        not field.presence or field.reference.on_delete is not OnDelete.IGNORE
    ):
        # No record is called "": an empty reference refers to nothing, which a foreign key spells NULL.
        return lambda message: getattr(message, name) or None
    if field.presence:
        return lambda message: encode(getattr(message, name)) if message.HasField(name) else None
    return lambda message: encode(getattr(message, name))


def _event_time(message: Message) -> datetime:
    time = time_of_name(name_of_record(message))
    if time is None:
        raise InvalidArgumentError.of(
            "name", "ends with an id that the server did not make: it tells the day"
        )
    return time


def _json_reader(field: Field) -> Read:
    if field.repeated or not field.presence:
        return lambda message: row_values.to_json(field, message)
    return lambda message: row_values.to_json(field, message) if message.HasField(field.name) else None


def _same(value: Any) -> Any:
    return value
