"""Long-running methods whose work is a job: the call puts it in and answers with its operation."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from google.protobuf.message import Message

from entresol.cache.session import EMPTY
from entresol.clock import Clock
from entresol.errors import ConflictError, FailedPreconditionError, InvalidArgumentError
from entresol.jobs.insist import insist
from entresol.jobs.kinds import Kind, Reports
from entresol.jobs.threads import Thread
from entresol.records import Demand, Records
from entresol.schema.model import JobLimit, Method, Model
from entresol.service.call import Call, Caller, Handler, Reply
from entresol.service.enqueue import new_job, operation_name
from entresol.service.places import place
from entresol.service.registry import Context, JobFunction
from entresol.service.status import failure_of
from entresol.service.writes import Writes, is_plain
from entresol.storage.chains import states
from entresol.storage.jobs import Claimed, JobState
from entresol.storage.new_jobs import enqueue
from entresol.storage.transaction import Transaction

Result = TypeVar("Result")


class AttemptLostError(ConflictError):
    """Another attempt at the job has begun, or it is over: nothing that this one does counts."""

    reason = "ATTEMPT_LOST"


@dataclass(slots=True)
class Job(Context):
    """What the function of a job is given beside its request: a context, and what is special of an attempt."""

    claimed: Claimed
    reports: Reports
    thread: Thread | None = None  # of a plain function
    before: Sequence[JobState] = ()  # the jobs that it came after, which have succeeded

    @property
    def name(self) -> str:
        """Return the name of the job's operation."""
        return operation_name(self.claimed.attempt.id)

    @property
    def attempt(self) -> int:
        """Return which attempt this is, the first being 1."""
        return self.claimed.number

    @property
    def tick_time(self) -> datetime | None:
        """Return the nominal time of the schedule's tick that put the job in; None where somebody did."""
        return self.claimed.tick_time

    @property
    def checkpoint(self) -> bytes | None:
        """Return the last checkpoint that was reported or committed, by this attempt or an earlier one."""
        return self.claimed.checkpoint if self.reports.checkpoint is None else self.reports.checkpoint

    def results(self) -> list[Any]:
        """Return the responses of the operations that it was put in `after`, in that order.

        Raises:
            FailedPreconditionError: a method of them is not in the protos of this worker.
        """
        return [self._response(job) for job in self.before]

    def _response(self, job: JobState) -> Any:
        service, _, name = job.kind.rpartition(".")
        method = self.model.methods.get(f"/{service}/{name}")
        if method is None or method.job is None:
            raise FailedPreconditionError(
                f"{job.kind}, of {operation_name(job.id)}, is in no proto of this worker"
            )
        response = self.new(method.job.response)
        response.ParseFromString(job.result or b"")
        return response

    def report(
        self, percent: float | None = None, step: str | None = None, checkpoint: bytes | None = None
    ) -> None:
        """Tell how far the job is, for who polls its operation, and where another attempt is to go on.

        It costs nothing: what was told last is written down within a second.

        Raises:
            InvalidArgumentError: what is told cannot be kept.
            asyncio.CancelledError: the attempt is to end, which a plain function hears in no other way.
        """
        if self.thread is not None:
            self.thread.check()
        if percent is not None and not isinstance(percent, int | float):
            raise InvalidArgumentError.of("percent", f"is {percent!r}; give a number")
        if step is not None and not _is_text(step):
            raise InvalidArgumentError.of(
                "step", f"is {step!r}; give text without U+0000 and lone surrogates"
            )
        _check_checkpoint(checkpoint)
        self.reports.tell(None if percent is None else int(percent), step, checkpoint)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what a coroutine returns, while a plain function waits: its way to `get`, `transaction` and the rest.

        Raises:
            RuntimeError: the function is a coroutine itself, and awaits.
            asyncio.CancelledError: the attempt is to end.
        """
        if self.thread is None:
            work.close()
            raise RuntimeError("a coroutine awaits what it waits for: only a plain function runs it so")
        return self.thread.wait(work)

    @asynccontextmanager
    async def transaction(
        self, checkpoint: bytes | Callable[[], bytes] | None = None
    ) -> AsyncIterator[Transaction]:
        """Open a transaction that commits only if the job is still this attempt's own.

        That is asked at its end: a worker that stands still within it must not keep others from its job. An attempt
        that dies behind the commit is made again: only a `checkpoint`, which commits with it, tells the next one that
        this was written; it may be a function, which is called at the end. A job gives its checkpoints here or by
        `report`, never both.

        Raises:
            AttemptLostError: it is not.
        """
        async with Context.transaction(self) as transaction:
            yield transaction
            noted = checkpoint() if callable(checkpoint) else checkpoint
            _check_checkpoint(noted)
            held = await transaction.coupling.hold(transaction, self.claimed, noted)
            if self.reports.is_left or not held:
                raise AttemptLostError(f"{self.name} is no longer this attempt's")
        if noted is not None:
            self.reports.checkpoint = noted


def _is_text(value: object) -> bool:
    """Tell whether the database can keep it as text."""
    try:
        return isinstance(value, str) and b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _check_checkpoint(checkpoint: object) -> None:
    if checkpoint is not None and not isinstance(checkpoint, bytes):
        raise InvalidArgumentError.of("checkpoint", f"is {checkpoint!r}; give bytes")


async def _succeeded(job: Job) -> list[JobState]:
    """Return the jobs that a job came after; all are over.

    Raises:
        FailedPreconditionError: one has not succeeded.
    """
    after = job.claimed.after or ()
    async with Context.transaction(job) as transaction:
        found = await states(transaction, after)
    for id_, one in zip(after, found, strict=True):
        if one is None:
            raise FailedPreconditionError(
                f"{operation_name(id_)}, which it waited for, was purged, or over long ago"
            )
        if one.state != "succeeded":
            raise FailedPreconditionError(f"{operation_name(id_)}, which it waited for, is {one.state}")
    return [one for one in found if one is not None]


def begin(method: Method, writes: Writes) -> Handler:
    """Return the handler of a method whose work is a job.

    With `validate_only` all is done and then undone: the operation that it answers with is done, with an empty response
    and no name (AIP-163).
    """

    async def handler(request: Any, call: Call) -> Reply:
        job = new_job(method, request, caller=call.caller.subject)
        reply = _operation(method, name=operation_name(job.id))
        if is_plain(request):
            await writes.enqueue(job, call)
            return reply

        async def work(transaction: Transaction) -> bytes:
            await enqueue(transaction, [job])
            return reply

        kept = await writes.write(request, call, work)
        is_dry = getattr(request, "validate_only", False)
        return _operation(method, done=True, response=_nothing(method)) if is_dry else kept

    return handler


def _operation(method: Method, **values: Any) -> bytes:
    data: bytes = method.output_class(**values).SerializeToString()
    return data


def _nothing(method: Method) -> Mapping[str, str]:
    assert method.job is not None, "only such methods have jobs"
    return {"type_url": f"type.googleapis.com/{method.job.response}"}


def kinds(
    model: Model,
    records: Records,
    functions: Mapping[str, JobFunction],
    clock: Clock,
    isolated: Collection[str] = (),
) -> Mapping[str, Kind]:
    """Return what a worker of these functions can do, by kind; those of `isolated` in processes of their own."""
    methods = {method.full_name: method for method in model.methods.values()}
    return {
        name: Kind(
            name,
            _runner(methods[name], function, records, clock),
            _describe,
            name in isolated,
            _limit(methods[name]),
        )
        for name, function in functions.items()
    }


def _runner(
    method: Method, function: JobFunction, records: Records, clock: Clock
) -> Callable[[Claimed, Reports], Awaitable[bytes]]:
    is_coroutine = inspect.iscoroutinefunction(function)

    async def run(claimed: Claimed, reports: Reports) -> bytes:
        begun = await insist(lambda: records.store.coupling.begin(claimed))
        if begun is None:
            raise AttemptLostError(f"{operation_name(claimed.attempt.id)} is no longer this attempt's")
        claimed = begun
        call = Call(method, {}, clock, claimed.timeout_s, caller=Caller(claimed.caller))
        call.deadline_s = clock.monotonic_s() + claimed.timeout_s
        # Whoever put it in may have written before what it is to read.
        call.demand = Demand(EMPTY.after(claimed.seen), method.consistency)
        request = method.input_class.FromString(claimed.request)
        job = Job(call, records, records.model, claimed, reports)
        if claimed.after:
            job.before = await _succeeded(job)
        answer: Any
        if is_coroutine:
            answer = function(request, job)
        else:
            job.thread = Thread(job.name)
            answer = await job.thread.call(partial(function, request, job))
        return _result(method, function, await answer if inspect.isawaitable(answer) else answer)

    return run


def _limit(method: Method) -> JobLimit | None:
    return None if method.job is None else method.job.limit


def _result(method: Method, function: JobFunction, answer: Any) -> bytes:
    assert method.job is not None, "only such methods have jobs"
    declared = method.job.response
    if isinstance(answer, Message) and answer.DESCRIPTOR.full_name == declared:
        data: bytes = answer.SerializeToString()
        return data
    if answer is None and declared == "google.protobuf.Empty":
        return b""
    given = answer.DESCRIPTOR.full_name if isinstance(answer, Message) else type(answer).__name__
    file, line = place(function)
    raise TypeError(f"the job of {method.full_name} ({file}:{line}) returned {given}; it returns {declared}")


def _describe(error: Exception, claimed: Claimed | None) -> bytes:
    domain, trace = "", ""
    if claimed is not None:
        domain = claimed.kind.rpartition(".")[0]
        trace = claimed.trace.split("-")[1] if claimed.trace else claimed.attempt.id.hex
    data: bytes = failure_of(error, domain, trace).SerializeToString()
    return data
