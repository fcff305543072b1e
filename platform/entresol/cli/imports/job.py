"""An import under way: batches in transactions that also record how far it is, so nothing is loaded twice."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import Message

from entresol.cli.imports.mapping import FieldSource, message_of
from entresol.cli.imports.source import Source, SourceRow
from entresol.clock import Identifiers
from entresol.errors import (
    AlreadyExistsError,
    ChildrenExistError,
    EntresolError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    Violation,
)
from entresol.schema.check_records import RecordCheck
from entresol.schema.model import Model, Resource
from entresol.service.creation import stamp_uid
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
REJECT_COLUMNS = ("line", "field", "problem")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that became a message."""

    line: int
    message: Message


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be loaded: its line, the field and what is wrong with it."""

    line: int
    field: str
    problem: str


@dataclass(slots=True)
class ImportJob:
    """Loads one source into one resource. `run` may be called again after an interruption: it goes on where it was."""

    store: Store
    model: Model
    resource: Resource
    source: Source
    sources: Sequence[FieldSource]
    references: Sequence[Resource] = ()  # missing records of these are created by name alone
    rejects_path: Path = Path("rejects.csv")
    batch_size: int = 500
    timeout_s: float = 60.0
    identifiers: Identifiers = field(default_factory=Identifiers)
    loaded: int = 0
    created: int = 0
    rejects: list[Reject] = field(default_factory=list)
    rejected: int = 0

    async def run(self, progress: Callable[[int], None] = lambda _line: None) -> int:
        """Load what is not loaded yet and return the line that was begun after; `progress` hears each line reached."""
        key = self._key()
        async with self.store.transaction(timeout_s=self.timeout_s) as transaction:
            begun = await line_reached(transaction, key)
        self._keep_rejects(begun)
        for rows in self._batches(begun):
            candidates = self._candidates(rows)
            async with self.store.transaction(timeout_s=self.timeout_s) as transaction:
                self.created += await self._create_references(transaction, candidates)
                self.loaded += await self._insert(transaction, candidates)
                await reach_line(transaction, key, rows[-1].line)
                self._write_rejects()
            progress(rows[-1].line)
        return begun

    def _key(self) -> str:
        """Return what makes this import the same one when it is started again: content, resource and mapping."""
        mapping = "\n".join(f"{item.field.name}={item.template}" for item in self.sources)
        text = f"{self.source.digest()}\n{self.resource.type}\n{mapping}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _batches(self, begun: int) -> Iterator[list[SourceRow]]:
        batch: list[SourceRow] = []
        for row in self.source.rows():
            if row.line <= begun:
                continue
            batch.append(row)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _candidates(self, rows: Sequence[SourceRow]) -> list[Candidate]:
        check = RecordCheck(self.resource, self.model)
        candidates = []
        for row in rows:
            try:
                if row.problem:
                    raise InvalidArgumentError.of("", row.problem)
                message = message_of(self.resource, self.sources, row.values)
                violations = check.violations(message)
                if violations:
                    raise InvalidArgumentError(violations)
                stamp_uid(message, self.resource, self.identifiers)
                candidates.append(Candidate(row.line, message))
            except InvalidArgumentError as error:
                self._reject(row.line, error)
        return candidates

    def _reject(self, line: int, error: EntresolError) -> None:
        violations = (
            error.violations
            if isinstance(error, InvalidArgumentError)
            else [Violation(_field_of(error), error.message)]
        )
        self.rejects += [Reject(line, violation.field, violation.description) for violation in violations]
        self.rejected += 1

    async def _create_references(self, transaction: Transaction, candidates: Sequence[Candidate]) -> int:
        """Create the records that the candidates refer to and that do not exist, with nothing but their names."""
        created = 0
        for resource in self.references:
            names = {
                name
                for item in self.sources
                if item.field.reference and item.field.reference.type == resource.type
                for candidate in candidates
                if (name := getattr(candidate.message, item.field.name))
            }
            absent = await missing(transaction, resource, names)
            await transaction.insert(resource, [self._named(resource, name) for name in absent])
            created += len(absent)
        return created

    async def _insert(self, transaction: Transaction, candidates: Sequence[Candidate]) -> int:
        """Insert what can be and return how many; halve a batch that fails until the bad rows stand alone."""
        if not candidates:
            return 0
        try:
            async with savepoint(transaction):
                await transaction.insert(self.resource, [candidate.message for candidate in candidates])
        except _ROW_ERRORS as error:
            if len(candidates) == 1:
                self._reject(candidates[0].line, error)
                return 0
            middle = len(candidates) // 2
            first = await self._insert(transaction, candidates[:middle])
            return first + await self._insert(transaction, candidates[middle:])
        return len(candidates)

    def _named(self, resource: Resource, name: str) -> Message:
        message = resource.message_class(name=name)
        stamp_uid(message, resource, self.identifiers)
        return message

    def _keep_rejects(self, begun: int) -> None:
        """Drop the rejects of a batch that was never committed, so that each bad row is reported once."""
        kept: list[list[str]] = []
        if begun and self.rejects_path.exists():
            with self.rejects_path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in list(csv.reader(file))[1:] if int(row[0]) <= begun]
        self.rejects_path.unlink(missing_ok=True)
        if kept:
            self.rejected = len({row[0] for row in kept})
            self.rejects = [Reject(int(line), field_name, problem) for line, field_name, problem in kept]
            self._write_rejects()

    def _write_rejects(self) -> None:
        if not self.rejects:
            return
        new = not self.rejects_path.exists()
        with self.rejects_path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(REJECT_COLUMNS)
            writer.writerows((reject.line, reject.field, reject.problem) for reject in self.rejects)
        self.rejects = []


def _field_of(error: EntresolError) -> str:
    return error.metadata.get("field", "name")
