"""Custom methods: one `async def` for each, registered by the method's full name."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from entresol.batches.definition import Batch, MapFunction, ReduceFunction
from entresol.errors import ConfigurationError, InvalidArgumentError
from entresol.records import Records
from entresol.schema.model import Model, Resource
from entresol.service.batches import BatchJob
from entresol.service.call import PRIMARY, Call, Caller
from entresol.service.enqueue import job_id, new_job, operation_name
from entresol.service.links.authorize import Policy
from entresol.service.methods import list_query
from entresol.service.places import place
from entresol.storage.chains import unknown
from entresol.storage.new_jobs import enqueue
from entresol.storage.transaction import Transaction
from entresol.storage.unique import enqueue_unique


@dataclass(slots=True)
class Context:
    """What a custom method is given beside its request."""

    call: Call
    records: Records
    model: Model

    @property
    def caller(self) -> Caller:
        """Return who asks."""
        return self.call.caller

    def remaining_s(self) -> float:
        """Return the seconds left until the caller's deadline; DeadlineExceededError when none are."""
        return self.call.remaining_s()

    def resource(self, message: str) -> Resource:
        """Return the resource of a message's full name: `stories.v1.Story`."""
        return self.model.by_message[message]

    def new(self, message: str, **values: Any) -> Any:
        """Return a new message of this full name with these fields."""
        return GetMessageClass(self.model.pool.FindMessageTypeByName(message))(**values)

    async def get(self, message: str, name: str) -> Any:
        """Return one record through the cache; NotFoundError when there is none. Never decide a write by it."""
        resource = self.resource(message)
        found = await self.records.get_one(resource, name, self.call.demand, timeout_s=self.remaining_s())
        self.call.remember(self.call.demand.after_reading(resource, [name], [found]), self.records.tokens)
        self.call.answered_by(found.answered_by)
        self.call.serve_stale(found.staleness_s)
        return resource.message_class.FromString(found.message_of(name))

    async def list(
        self, message: str, *, parent: str = "", filter: str = "", order_by: str = "", page_size: int = 0
    ) -> Sequence[Any]:
        """Return the first page that a List with these arguments has, from a replica that knows what the caller does.

        No cached list answers it: let an index do so.

        Raises:
            InvalidArgumentError: of `parent`, `filter` or `order_by`.
        """
        resource = self.resource(message)
        query = list_query(resource, parent=parent, filter_=filter, order_by=order_by, size=page_size)
        page = await self.records.list(resource, query, self.call.demand, timeout_s=self.remaining_s())
        self.call.remember(self.call.demand.after_listing(resource, page.seen), self.records.tokens)
        self.call.answered_by(str(page.source))
        return [resource.message_class.FromString(row.message) for row in page.rows]

    async def delete_where(
        self,
        message: str,
        filter_: str,
        *,
        parent: str = "",
        limit: int | None = None,
        force: bool = False,
    ) -> int:
        """Delete the records that a filter matches, in batches that commit by themselves; returns how many.

        What is raised is as for `Records.delete_where`; what was deleted before stays deleted.
        """
        count = 0
        try:
            async for purged in self.records.delete_where(
                self.resource(message),
                filter_,
                parent=parent,
                limit=limit,
                force=force,
                timeout_s=self.remaining_s(),
            ):
                count = purged.count
                session = self.call.demand.session.after(purged.commit_lsn)
                self.call.remember(session, self.records.tokens)
        finally:
            self.call.answered_by(PRIMARY)
        return count

    async def enqueue(
        self,
        transaction: Transaction,
        method: str,
        request: Message,
        *,
        tenant: str = "",
        delay_s: float = 0.0,
        unique: str = "",
        unique_for: timedelta = timedelta(),
        after: Sequence[str] = (),
    ) -> str:
        """Put in the job of a long-running method, by its full name, and return the name of its operation.

        It is there if `transaction` commits, and then ready in `delay_s`; tenants of one queue get equal shares of it.
        Where a job of this method with the same `unique` key is not over, or was put in within `unique_for`, whatever
        became of it, nothing is put in and the name is that one's. Another transaction that puts in the same key is
        waited for.

        With `after`, names of operations, it waits until all of them have succeeded, and a `delay_s` before that. When
        one is cancelled or purged instead, it is dead (FAILED_PRECONDITION); while one is dead, which may be tried
        again, it goes on waiting.

        Raises:
            InvalidArgumentError: the method does not answer with an operation, or takes another request; or no
                operation has a name of `after`, or it was over long ago.
        """
        service, _, name = method.rpartition(".")
        found = self.model.methods.get(f"/{service}/{name}")
        if found is None:
            raise InvalidArgumentError.of("method", f"there is no method {method!r}; write its full name")
        job = new_job(
            found,
            request,
            caller=self.caller.subject,
            tenant=tenant,
            delay_s=delay_s,
            unique=unique,
            after=await _followed(transaction, after),
        )
        if unique:
            return operation_name(await enqueue_unique(transaction, job, for_s=unique_for.total_seconds()))
        if unique_for:
            raise InvalidArgumentError.of("unique_for", "is given, and no key that would be unique")
        await enqueue(transaction, [job])
        return operation_name(job.id)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction on the primary; the cache and the caller's session know of it when the block ends."""
        async with self.records.transaction(timeout_s=self.remaining_s()) as transaction:
            yield transaction
        if transaction.committed:
            session = self.records.session_after(self.call.demand, transaction)
            self.call.remember(session, self.records.tokens)
        self.call.answered_by(PRIMARY)


Function = Callable[[Any, Context], Awaitable[Message | bytes] | AsyncIterator[Message | bytes]]
# Given the request and a `service.jobs.Job`. What is no coroutine runs in a thread.
JobFunction = Callable[[Any, Any], Awaitable[Message | None] | Message | None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job puts itself in. `place` is where the code says so; the rest is as `Registry.schedule` takes it."""

    name: str
    method: str
    timing: str
    zone: str
    request: Mapping[str, Any]
    overlap: str
    missed: str
    missed_max: int
    jitter_s: float
    start: datetime | None
    end: datetime | None
    place: tuple[str, int]


@dataclass(slots=True)
class Registry:
    """The functions of custom methods and jobs, by full name, and the policies: who may call what, and who operates."""

    functions: dict[str, Function] = field(default_factory=dict)
    policy: Policy | None = None
    operator_policy: Policy | None = None
    replacing: set[str] = field(default_factory=set)  # standard methods that functions answer on purpose
    jobs: dict[str, JobFunction] = field(default_factory=dict)
    isolated: set[str] = field(default_factory=set)  # jobs that run in processes of their own
    schedules: dict[str, Schedule] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)

    def method(self, full_name: str, *, replaces: bool = False) -> Callable[[Function], Function]:
        """Register the decorated function for `stories.v1.StoryService.VoteStory`.

        `replaces` is for a standard method, which then has none of what the platform does for it: no read mask, etag,
        `validate_only`, `request_id` or cache but what the function sees to.

        Raises:
            ConfigurationError: another function has this name already; the text names the places of both.
        """

        def register(function: Function) -> Function:
            if full_name in self.functions:
                raise _twice(f"{full_name} has two functions", self.functions[full_name], function)
            self.functions[full_name] = function
            if replaces:
                self.replacing.add(full_name)
            return function

        return register

    def job(self, full_name: str, *, isolated: bool = False) -> Callable[[JobFunction], JobFunction]:
        """Register the decorated function for the work of a method that answers with an operation.

        A plain function runs in a thread. One that is `isolated` runs in a process of its own, which is killed when its
        time is over, and may take any harm: that is a failure of the attempt and of nothing else.

        Raises:
            ConfigurationError: another function has this name already; the text names the places of both.
        """

        def register(function: JobFunction) -> JobFunction:
            if full_name in self.jobs:
                raise _twice(f"{full_name} has two jobs", self.jobs[full_name], function)
            self.jobs[full_name] = function
            if isolated:
                self.isolated.add(full_name)
            return function

        return register

    def schedule(
        self,
        name: str,
        method: str,
        timing: str,
        *,
        zone: str = "UTC",
        request: Mapping[str, Any] = MappingProxyType({}),
        overlap: str = "skip",
        missed: str = "latest",
        missed_max: int = 100,
        jitter_s: float = 0.0,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> None:
        """Let the job of a method put itself in: by five fields of cron, `every 90s`, or `at 2026-01-31T09:30:00Z`.

        `request` has the fields of its request as JSON has them. While a run is not over, the next tick is skipped, or
        by `overlap` waits for it (`queue`, at most one), begins beside it (`allow`), or ends it (`cancel`). Of ticks
        that nobody was there for, by `missed` the latest begins, or none (`skip`), or each, the newest up to
        `missed_max` (`all`). Each waits for up to `jitter_s`, the same for every machine. None is before `start` or
        behind `end`. A schedule that no worker's code declares any more does not tick.

        Raises:
            ConfigurationError: another schedule has this name already; the text names the places of both.
        """
        where = _caller(name, "schedules", self.schedules)
        self.schedules[name] = Schedule(
            name, method, timing, zone, request, overlap, missed, missed_max, jitter_s, start, end, where
        )

    def batch(
        self,
        name: str,
        *,
        method: str,
        source: str,
        result: str,
        map: str | MapFunction,
        reduce: str | ReduceFunction,
        window: str = "",
        days: int = 1,
        zone: str = "UTC",
        scope: str = "",
        columns: Sequence[str] = (),
        where: str = "",
        engine: str = "auto",
    ) -> None:
        """Let the job of a method make records of `result` from the rows of `source`, all of them shown at once.

        `source` is the full name of a resource's message, or a table with its schema; of its `columns`, or all, those
        rows count for which the SQL of `where` holds. With a `window`, a column of times, a run has a day for its key
        and reads the `days` that end with it, in `zone`; else it reads everything.

        `map` and `reduce` are SQL that PostgreSQL and DuckDB both take: `map` selects from `input`, a part of the rows,
        `reduce` from `mapped`, what came of all parts, and both from `run`, which has `key`, `start_time` and
        `end_time`. `reduce` returns the columns of `result` but what the platform sets. Or they are functions:
        `map(row)` gives pairs of a key (a text, a number, or a tuple of them) and a value, and `reduce(key, values)`
        returns one row, a mapping of those columns.

        A run replaces the records of the parent `scope`, such as `days/{key}`, or, when that is empty, all of them.
        `engine` is sql, duckdb, python (of functions), dask, spark, or auto, which looks at the size.

        Raises:
            ConfigurationError: another batch has this name already; the text names the places of both.
        """
        where_ = _caller(name, "batches", self.batches)
        self.batches[name] = Batch(
            name,
            method,
            source,
            result,
            map,
            reduce,
            window,
            days,
            zone,
            scope,
            tuple(columns),
            where,
            engine,
            where_,
        )
        self.job(method)(BatchJob(self.batches[name]).run)

    def authorizer(self, policy: Policy) -> Policy:
        """Register the decorated function as the policy: it tells whether a call may go on.

        Raises:
            ConfigurationError: there is one already; the text names the places of both.
        """
        if self.policy is not None:
            raise _twice("there are two authorizers", self.policy, policy)
        self.policy = policy
        return policy

    def operators(self, policy: Policy) -> Policy:
        """Register the decorated function as the policy of `entresol.ops.v1`, which the authorizer is not asked about.

        It tells whether a call is an operator's; without one, nobody is.

        Raises:
            ConfigurationError: there is one already; the text names the places of both.
        """
        if self.operator_policy is not None:
            raise _twice("there are two policies of operators", self.operator_policy, policy)
        self.operator_policy = policy
        return policy


async def _followed(transaction: Transaction, names: Sequence[str]) -> list[uuid.UUID]:
    """Return the jobs of operations; InvalidArgumentError where one is not known, or named twice."""
    ids = [job_id(name, "after") for name in names]
    if len(set(ids)) < len(ids):
        raise InvalidArgumentError.of("after", "names an operation twice")
    if missing := await unknown(transaction, ids) if ids else []:
        raise InvalidArgumentError.of(
            "after", f"there is no {operation_name(missing[0])}, or it was over long ago"
        )
    return ids


def _caller(name: str, kind: str, known: Mapping[str, Schedule | Batch]) -> tuple[str, int]:
    """Return where the caller's caller stands, who declares the only one of this name."""
    frame = sys._getframe(2)
    where = (os.path.relpath(frame.f_code.co_filename), frame.f_lineno)
    if name in known:
        places = " and ".join(f"{file}:{line}" for file, line in (known[name].place, where))
        raise ConfigurationError(f"there are two {kind} {name}, at {places}; keep one")
    return where


def _twice(problem: str, *functions: Callable[..., Any]) -> ConfigurationError:
    places = " and ".join(f"{file}:{line}" for file, line in map(place, functions))
    return ConfigurationError(f"{problem}, at {places}; keep one")


# What the decorators of the public API write to, and what a server serves unless it is given another.
registry = Registry()
method = registry.method
job = registry.job
schedule = registry.schedule
batch = registry.batch
authorizer = registry.authorizer
operators = registry.operators
