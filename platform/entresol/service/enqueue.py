"""From a long-running method and a request to its job, and from a job to the name of its operation."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence

from google.protobuf.message import Message

from entresol.errors import InvalidArgumentError
from entresol.schema.model import Method
from entresol.storage.job_ids import new_id
from entresol.storage.new_jobs import Lane, NewJob
from entresol.telemetry import traceparent

PREFIX = "operations/"


def operation_name(id_: uuid.UUID) -> str:
    """Return the name of a job's operation."""
    return f"{PREFIX}{id_}"


def job_id(name: str, field: str = "name") -> uuid.UUID:
    """Return the job of an operation's name; InvalidArgumentError for what is no such name."""
    try:
        id_ = uuid.UUID(name.removeprefix(PREFIX))
    except ValueError:
        id_ = None
    if id_ is None or operation_name(id_) != name:
        raise InvalidArgumentError.of(field, f"must be {PREFIX} and the id that the operation came with")
    return id_


def new_job(
    method: Method,
    request: Message,
    *,
    caller: str = "",
    tenant: str = "",
    delay_s: float = 0.0,
    unique: str = "",
    after: Sequence[uuid.UUID] = (),
) -> NewJob:
    """Return the job of a long-running method with this request, ready in `delay_s`.

    Raises:
        InvalidArgumentError: the method does not answer with an operation, or takes another request.
    """
    policy = method.job
    if policy is None:
        raise InvalidArgumentError.of("method", f"{method.full_name} does not answer with an operation")
    if request.DESCRIPTOR.full_name != method.input.full_name:
        given = request.DESCRIPTOR.full_name
        raise InvalidArgumentError.of(
            "request", f"is a {given}; {method.full_name} takes a {method.input.full_name}"
        )
    lane = Lane(policy.queue, method.full_name, tenant, policy.priority)
    data = request.SerializeToString()
    key = _key(method.full_name, unique) if unique else None
    return NewJob(
        new_id(),
        lane,
        data,
        policy.attempts_max,
        policy.timeout_s,
        delay_s,
        caller,
        traceparent(),
        unique_key=key,
        queue_max=policy.queue_max,
        after=tuple(after),
    )


def _key(kind: str, unique: str) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.sha256(f"{kind}\0{unique}".encode()).digest()[:16])
