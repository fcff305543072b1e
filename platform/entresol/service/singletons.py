"""Records of which every parent has exactly one: made with their parent (AIP-156), and gone with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from entresol.clock import Identifiers
from entresol.schema.model import Model, Resource
from entresol.schema.names import Pattern
from entresol.service.creation import set_name, stamp_uid
from entresol.storage.rows import Row
from entresol.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Inserter:
    """Inserts records together with the singletons below them."""

    model: Model
    identifiers: Identifiers

    async def insert(
        self, transaction: Transaction, resource: Resource, messages: Sequence[Message]
    ) -> list[Row]:
        """Insert records and return them in order; what is raised is as for `Transaction.insert`."""
        rows = await transaction.insert(resource, messages)
        for child, below in self._below(resource, [row.name for row in rows]):
            await transaction.insert(child, below)
        return rows

    async def load(self, transaction: Transaction, resource: Resource, messages: Sequence[Message]) -> None:
        """Insert records as `Transaction.load` does."""
        await transaction.load(resource, messages)
        for child, below in self._below(resource, [_name(message) for message in messages]):
            await transaction.load(child, below)

    def is_one_statement(self, resource: Resource) -> bool:
        """Tell whether inserting one record asks and writes nothing else."""
        children = (self.model.resources[type_] for type_ in resource.children)
        return len(resource.parents) < 2 and not any(child.patterns[0].singleton for child in children)

    def _below(self, resource: Resource, names: Sequence[str]) -> Iterator[tuple[Resource, list[Message]]]:
        """Yield the singletons below the records of these names, those of a record before those below them."""
        for child in (self.model.resources[type_] for type_ in resource.children):
            if child.patterns[0].singleton:
                made = [self._singleton(child, name) for name in names]
                yield child, made
                yield from self._below(child, [_name(message) for message in made])

    def _singleton(self, resource: Resource, parent: str) -> Message:
        """Return the one record below `parent`, with no values but those that every record has."""
        message = resource.message_class()
        set_name(message, _pattern_below(resource, parent).child_of(parent, ""))
        stamp_uid(message, resource, self.identifiers)
        return message


def _name(message: Any) -> str:
    return str(message.name)


def _pattern_below(resource: Resource, parent: str) -> Pattern:
    above = ((pattern, Pattern("/".join(pattern.parent_segments))) for pattern in resource.patterns)
    return next(pattern for pattern, of_parent in above if of_parent.parse(parent) is not None)
