"""Source rows become batches of messages that may be inserted, and of rejects; no input or output but the file's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from entresol.cli.imports.mapping import FieldSource, message_of
from entresol.cli.imports.rejects import Reject, rejects_of
from entresol.cli.imports.source import Source, SourceRow
from entresol.clock import Identifiers
from entresol.errors import InvalidArgumentError
from entresol.schema.check_records import RecordCheck
from entresol.schema.model import Model, Resource
from entresol.service.creation import stamp_uid

# A batch ends at this many characters, however few rows they are, so that memory is bounded.
SIZE_MAX = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that became a message."""

    line: int
    message: Message


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows, up to and including `line`: those that may be inserted, and those that cannot."""

    line: int
    candidates: list[Candidate]
    rejects: list[Reject]


@dataclass(frozen=True, slots=True)
class BatchReader:
    """Reads a source and checks its rows against the resource."""

    source: Source
    resource: Resource
    sources: Sequence[FieldSource]
    check: RecordCheck
    identifiers: Identifiers
    size: int

    @classmethod
    def of(
        cls,
        source: Source,
        resource: Resource,
        sources: Sequence[FieldSource],
        model: Model,
        identifiers: Identifiers,
        size: int,
    ) -> BatchReader:
        """Return the reader of `source`; its rules are compiled once."""
        return cls(source, resource, sources, RecordCheck(resource, model), identifiers, size)

    def batches(self, begun: int) -> Iterator[Batch]:
        """Yield the batches of the rows after line `begun`, in order."""
        rows: list[SourceRow] = []
        size = 0
        for row in self.source.rows():
            if row.line <= begun:
                continue
            rows.append(row)
            size += row.size
            if len(rows) == self.size or size > SIZE_MAX:
                yield self._batch(rows)
                rows, size = [], 0
        if rows:
            yield self._batch(rows)

    def _batch(self, rows: Sequence[SourceRow]) -> Batch:
        batch = Batch(rows[-1].line, [], [])
        for row in rows:
            try:
                batch.candidates.append(Candidate(row.line, self._message(row)))
            except InvalidArgumentError as error:
                batch.rejects.extend(rejects_of(row.line, error))
        return batch

    def _message(self, row: SourceRow) -> Message:
        if row.problem:
            raise InvalidArgumentError.of(row.column, row.problem)
        message = message_of(self.resource, self.sources, row.values)
        violations = self.check.violations(message)
        if violations:
            raise InvalidArgumentError(violations)
        stamp_uid(message, self.resource, self.identifiers)
        return message
