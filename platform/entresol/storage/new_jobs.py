"""New jobs: put in with a caller's transaction, each in its lane."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from entresol.storage.catalog import read_query
from entresol.storage.sql import Statement
from entresol.storage.transaction import Transaction

_ADD_LANES = read_query("jobs/add_lanes")
_TYPES = (
    *("uuid", "text", "text", "text", "smallint", "float8", "integer", "real"),
    *("text", "text", "bytea", "uuid", "text"),
)


class Lane(NamedTuple):
    """Jobs of one kind that are first in, first out. Of a higher `priority` they come first."""

    queue: str
    kind: str
    tenant: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be put in. `timeout_s` is for one attempt; it is ready in `delay_s`."""

    id: uuid.UUID
    lane: Lane
    request: bytes
    attempts_max: int
    timeout_s: float
    delay_s: float = 0.0
    caller: str = ""
    trace: str = ""
    unique_key: uuid.UUID | None = None  # which no other job has that is not over
    queue_max: int | None = None  # of the queue, or the job is refused
    after: tuple[uuid.UUID, ...] = ()  # jobs that it waits for, until all of them are over


async def enqueue(transaction: Transaction, jobs: Sequence[NewJob]) -> list[uuid.UUID]:
    """Put jobs in, which are there once the transaction is committed; return those that were not there already.

    Raises:
        QueueFullError: as far as is known a queue has as many as it may; none is put in.
    """
    transaction.coupling.lengths.admit(jobs)
    return await transaction.coupling.put(transaction, jobs)


def add_lanes(lanes: Collection[Lane]) -> Statement:
    """Return the statement that adds lanes, of which there may be some already."""
    return Statement(_ADD_LANES, tuple(zip(*lanes, strict=True)))


def with_jobs(text: str, jobs: Sequence[NewJob]) -> Statement:
    """Return a statement of jobs, whose `{new}` are one row of values, or arrays of those of many."""
    rows = [
        (
            job.id,
            *job.lane,
            job.delay_s,
            job.attempts_max,
            job.timeout_s,
            job.caller,
            job.trace,
            job.request,
            job.unique_key,
            f"{{{','.join(map(str, job.after))}}}" if job.after else None,
        )
        for job in jobs
    ]
    # An array of an unknown length is planned anew each time, which costs more than to insert the one row.
    if len(rows) == 1:
        return Statement(_text(text, is_one=True), rows[0])
    return Statement(_text(text, is_one=False), tuple(zip(*rows, strict=True)))


@cache
def _text(text: str, *, is_one: bool) -> str:
    values = [f"${number}::{type_}" for number, type_ in enumerate(_TYPES, start=1)]
    given = (
        f"(VALUES ({', '.join(values)}))" if is_one else f"unnest({', '.join(f'{one}[]' for one in values)})"
    )
    return text.replace("{new}", given)
