"""An import under way: batches in transactions that also record how far it is, so nothing is loaded twice."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message

from entresol.cli.imports.batches import Batch, BatchReader, Candidate
from entresol.cli.imports.mapping import FieldSource
from entresol.cli.imports.rejects import Rejects, rejects_of
from entresol.cli.imports.source import Source
from entresol.clock import Identifiers
from entresol.errors import (
    AlreadyExistsError,
    ChildrenExistError,
    ConfigurationError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from entresol.schema.model import Field, Model, Resource
from entresol.service.creation import stamp_uid
from entresol.service.singletons import Inserter
from entresol.storage.imports import line_reached, missing, reach_line, savepoint
from entresol.storage.store import Store
from entresol.storage.transaction import Transaction

# Errors that say something of a row. Any other ends the import; what is committed stays, the rest can be resumed.
_ROW_ERRORS = (
    AlreadyExistsError,
    InvalidArgumentError,
    FailedPreconditionError,
    NotFoundError,
    ChildrenExistError,
)


@dataclass(slots=True)
class ImportJob:
    """Loads one source into one resource. `run` may be called again after an interruption: it goes on where it was."""

    store: Store
    model: Model
    resource: Resource
    source: Source
    sources: Sequence[FieldSource]
    rejects: Rejects
    references: Sequence[Resource] = ()  # missing records of these are created by name alone
    batch_size: int = 500
    timeout_s: float = 60.0
    identifiers: Identifiers = field(default_factory=Identifiers)
    loaded: int = 0
    created: int = 0

    def __post_init__(self) -> None:
        for resource in self.references:
            needed = [item.name for item in resource.fields if item.required]
            if needed:
                raise ConfigurationError(
                    f"--create {resource.message}: a {resource.singular} needs {', '.join(needed)}; import it first"
                )

    async def run(self, progress: Callable[[int], None] = lambda _line: None, *, again: bool = False) -> int:
        """Load what is not loaded yet and return the line that was begun after; `progress` hears each line reached.

        `again` forgets how far an earlier run came.
        """
        key = self._key()
        async with self.store.transaction(timeout_s=self.timeout_s) as transaction:
            if again:
                await reach_line(transaction, key, 0)
            begun = await line_reached(transaction, key)
        self.rejects.keep(begun)
        reader = BatchReader.of(
            self.source, self.resource, self.sources, self.model, self.identifiers, self.batch_size
        )
        batches = reader.batches(begun)
        batch = next(batches, None)
        while batch is not None:
            # The next batch is read while the database works on this one.
            reading = asyncio.create_task(asyncio.to_thread(next, batches, None))
            try:
                await self._commit(batch, key)
            finally:
                following = await reading
            progress(batch.line)
            batch = following
        return begun

    async def _commit(self, batch: Batch, key: str) -> None:
        """Insert a batch in one transaction that also notes the line it reaches."""
        self.rejects.add(batch.rejects)
        async with self.store.transaction(timeout_s=self.timeout_s) as transaction:
            loaded, created = await self._insert(transaction, batch.candidates)
            await reach_line(transaction, key, batch.line)
            # Before the commit: a reject too many is dropped when the import goes on, a missing one is lost.
            self.rejects.write()
        self.loaded += loaded
        self.created += created

    def _key(self) -> str:
        """Return what makes this import the same one when it is started again: content, resource and mapping."""
        mapping = "\n".join(f"{item.field.name}={item.template}" for item in self.sources)
        text = f"{self.source.digest()}\n{self.resource.type}\n{mapping}"
        return hashlib.sha256(text.encode()).hexdigest()

    async def _insert(self, transaction: Transaction, candidates: Sequence[Candidate]) -> tuple[int, int]:
        """Insert what can be, and what it refers to; halve a batch that fails until the bad rows stand alone.

        Returns how many candidates, and how many records they refer to, were inserted.
        """
        if not candidates:
            return 0, 0
        try:
            async with savepoint(transaction):
                created = await self._create_references(transaction, candidates)
                inserter = Inserter(self.model, self.identifiers)
                await inserter.load(transaction, self.resource, [one.message for one in candidates])
                return len(candidates), created
        except _ROW_ERRORS as error:
            if len(candidates) == 1:
                self.rejects.add(rejects_of(candidates[0].line, error))
                return 0, 0
        middle = len(candidates) // 2
        first = await self._insert(transaction, candidates[:middle])
        second = await self._insert(transaction, candidates[middle:])
        return first[0] + second[0], first[1] + second[1]

    async def _create_references(self, transaction: Transaction, candidates: Sequence[Candidate]) -> int:
        """Create the records that the candidates refer to and that do not exist, with nothing but their names."""
        created = 0
        for resource in self.references:
            fields = [
                one.field
                for one in self.sources
                if one.field.reference and one.field.reference.type == resource.type
            ]
            names = {name for one in candidates for item in fields for name in _names(one.message, item)}
            absent = await missing(transaction, resource, names)
            await transaction.load(resource, [self._named(resource, name) for name in absent])
            created += len(absent)
        return created

    def _named(self, resource: Resource, name: str) -> Message:
        message = resource.message_class(name=name)
        stamp_uid(message, resource, self.identifiers)
        return message


def _names(message: Message, item: Field) -> Sequence[str]:
    value = getattr(message, item.name)
    if item.repeated:
        return list(value)
    return (value,) if value else ()
