"""The standard method Purge<Plural>: a job that deletes what a filter matches, in batches that commit by themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from entresol.errors import DeadlineExceededError
from entresol.schema.model import Method, MethodKind, Model, Resource
from entresol.service import jobs
from entresol.service.call import Call, Handler, Reply
from entresol.service.registry import JobFunction
from entresol.service.writes import Writes
from entresol.storage.selection import Selection

BATCH = 500  # records of one transaction
SAMPLE_MAX = 100
COUNT_S = 5.0  # longest wait for what percent is of
_ANY = "-"


@dataclass(slots=True)
class _Purged:
    """How far a purge is: so many are deleted, the last one of this name."""

    count: int = 0
    last: str = ""

    @classmethod
    def read(cls, checkpoint: bytes | None) -> _Purged:
        return cls() if checkpoint is None else cls(**json.loads(checkpoint))

    def checkpoint(self) -> bytes:
        return json.dumps({"count": self.count, "last": self.last}).encode()


def begin(method: Method, writes: Writes) -> Handler:
    """Return the handler of a Purge: what it asks for wrongly is told at once, the rest is its job's."""
    begun, resource = jobs.begin(method, writes), method.resource
    assert resource is not None, "a standard method has its resource"

    async def handler(request: Message, call: Call) -> Reply:
        _selection(resource, request)
        reply: Reply = await begun(request, call)  # type: ignore[misc]  # it is a coroutine
        return reply

    return handler


def purges(model: Model) -> Mapping[str, JobFunction]:
    """Return the jobs of all Purge methods, by their full names."""
    return {
        method.full_name: _job(method, method.resource)
        for method in model.methods.values()
        if method.kind is MethodKind.PURGE and method.resource is not None
    }


def _job(method: Method, resource: Resource) -> JobFunction:
    assert method.job is not None, "a Purge answers with an operation"
    response = method.job.response

    async def count(request: Any, job: jobs.Job) -> Any:
        """Return how many there are, and the names of the first."""
        selection, store, seen = _selection(resource, request), job.records.store, job.call.demand.session.lsn
        number = await store.count(resource, selection, at_least=seen, timeout_s=job.remaining_s())
        names = await store.sample(
            resource, selection, SAMPLE_MAX, at_least=seen, timeout_s=job.remaining_s()
        )
        return job.new(response, purge_count=number, purge_sample=names)

    async def purge(request: Any, job: jobs.Job) -> Any:
        """Delete batch by batch in the order of names; another attempt goes on behind the last one."""
        if not request.force:
            return await count(request, job)
        selection, purged = _selection(resource, request), _Purged.read(job.checkpoint)
        total = purged.count + await _left(resource, selection, job)
        while True:
            async with job.transaction(checkpoint=purged.checkpoint) as transaction:
                names = await transaction.delete_where(
                    resource, selection, after=purged.last, limit=BATCH, force=False
                )
                if names:
                    purged.count, purged.last = purged.count + len(names), names[-1]
            if len(names) < BATCH:
                return job.new(response, purge_count=purged.count)
            job.report(percent=100 * purged.count // max(total, purged.count), step=f"{purged.count} deleted")

    return purge


async def _left(resource: Resource, selection: Selection, job: jobs.Job) -> int:
    try:
        return await job.records.store.count(resource, selection, timeout_s=COUNT_S)
    except DeadlineExceededError:  # so many that percent cannot be told
        return 1 << 62


def _selection(resource: Resource, request: Any) -> Selection:
    parent = getattr(request, "parent", "")
    return Selection.of(resource, request.filter, "" if parent == _ANY else parent)
