"""From a Create request to the record to insert: its name made, its uid given."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from entresol.clock import Identifiers
from entresol.errors import InvalidArgumentError
from entresol.schema.model import Method, Resource, Role
from entresol.schema.names import Pattern
from entresol.service.standard import request_field, resource_of


class Creator:
    """Makes records of one resource from the requests of its Create method, which the checks have passed."""

    def __init__(self, method: Method, identifiers: Identifiers) -> None:
        self.method = method
        self._resource = resource_of(method)
        self._field = request_field(method)
        self._id_field = f"{self._field}_id" if f"{self._field}_id" in method.input.fields_by_name else ""
        self._identifiers = identifiers

    def message(self, request: Any, parent: str = "") -> Message:
        """Return the record that `request` asks for, below `parent` unless it has its own."""
        chosen = getattr(request, self._id_field) if self._id_field else ""
        above = getattr(request, "parent", "") or parent
        message = self._resource.message_class()
        message.CopyFrom(getattr(request, self._field))
        pattern = _pattern_below(self._resource, above)
        set_name(message, pattern.child_of(above, chosen or self._identifiers.resource_id()))
        stamp_uid(message, self._resource, self._identifiers)
        return message

    def messages(self, batch: Any) -> list[Message]:
        """Return the records of a BatchCreate, in order.

        Raises:
            InvalidArgumentError: two of them have the same name.
        """
        made: list[Any] = [self.message(request, getattr(batch, "parent", "")) for request in batch.requests]
        first: dict[str, int] = {}
        for index, message in enumerate(made):
            if first.setdefault(message.name, index) != index:
                raise InvalidArgumentError.of(
                    f"requests[{index}]", f"names {message.name}, as requests[{first[message.name]}] does"
                )
        return made


def set_name(message: Any, name: str) -> None:
    """Give the record its name."""
    message.name = name


def stamp_uid(message: Any, resource: Resource, identifiers: Identifiers) -> None:
    """Give the record a uid, where it has one."""
    if Role.UID in resource.by_role:
        message.uid = identifiers.uid()


def _pattern_below(resource: Resource, parent: str) -> Pattern:
    """Return the pattern of names below `parent`: the one with a parent of the same collections."""
    collections = parent.split("/")[::2] if parent else []
    return next(pattern for pattern in resource.patterns if list(pattern.parent_segments[::2]) == collections)
