"""CHANGE -> EVENT: CloudEvents 1.0, in the binary mode of its AMQP binding. Pure.

The specification is at https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf import json_format

from entresol.schema.model import Resource

CREATED, UPDATED, DELETED = "created", "updated", "deleted"
RESET = "reset"  # any record may have changed: read them all
CONTENT_TYPE = "application/json"
_PREFIX = "cloudEvents_"  # rather than `cloudEvents:`, for the sake of JMS


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its attributes by name, and the record as ProtoJSON, where there is one."""

    attributes: Mapping[str, str]
    data: bytes

    @property
    def id(self) -> str:
        """Return what is the same for an event that comes twice."""
        return self.attributes["id"]

    @property
    def type(self) -> str:
        """Return the type, which is the routing key, too."""
        return self.attributes["type"]

    @property
    def headers(self) -> dict[str, str]:
        """Return the attributes as the binding names them in a message."""
        return {_PREFIX + name: value for name, value in self.attributes.items()}


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in the log of a database something was committed, and when."""

    timeline: int
    position: int
    time_s: float


def event(
    resource: Resource, what: str, name: str, moment: Moment, index: int, record: bytes | None = None
) -> Event:
    """Return the event of a change, the one at `index` of those that were committed at this moment."""
    attributes = {
        "specversion": "1.0",
        "id": f"{moment.timeline:x}-{moment.position:016x}-{index}",
        "source": f"//{resource.type.partition('/')[0]}",
        "type": f"{resource.message}.{what}",
        "time": datetime.fromtimestamp(moment.time_s, UTC).isoformat().replace("+00:00", "Z"),
    }
    if name:
        attributes["subject"] = name
    if record is None:
        return Event(attributes, b"")
    attributes["dataschema"] = f"https://type.googleapis.com/{resource.message}"
    message = resource.message_class.FromString(record)
    return Event(attributes, json_format.MessageToJson(message, indent=None).encode())
