"""Every error a call can end with, in one tree: a class for each status code, and what the server said.

EntresolError
├── InvalidArgumentError      the request breaks rules, all of which `violations` lists
├── UnauthenticatedError      no credentials, or none that can be verified
├── PermissionDeniedError     this caller may not do this
├── NotFoundError             no resource has this name
├── AlreadyExistsError        the name, or a unique combination of fields, is taken
├── AbortedError              a stale etag or a concurrent change: read again, decide again
├── FailedPreconditionError   the system is not in the state that the call needs
├── OutOfRangeError           past the end of what there is
├── ResourceExhaustedError    a quota or bound was reached
├── UnavailableError          the server, or a part it needs, is away
├── DeadlineExceededError     time ran out; the call may or may not have acted
├── CallCancelledError        somebody cancelled the call
├── UnimplementedError        this server has no such method
├── InternalError             the server failed; `metadata["trace"]` finds the cause in its log
├── DataLossError             data was lost for good
└── UnknownError              none of these
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import grpc


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request: the field's path, what to send instead, and the rule's name."""

    field: str
    description: str
    reason: str = ""


class EntresolError(Exception):
    """A call that failed.

    `reason` together with `domain` never changes for the same error, so programs decide by these (AIP-193).
    The text is for people, and `metadata` holds every part of it that varies. All are empty for errors that
    no server sent. `retry_after_s` is how long the server asks to wait, if it does.
    """

    code: ClassVar[Any] = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        domain: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.domain = domain
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Render as `NOT_FOUND: stories/1 does not exist [RESOURCE_NOT_FOUND]`, violations on own lines."""
        reason = f" [{self.reason}]" if self.reason else ""
        lines = [f"{self.code.name}: {self.message}{reason}"]
        lines += [f"  {violation.field}: {violation.description}" for violation in self.violations]
        return "\n".join(lines)


class InvalidArgumentError(EntresolError):
    """The request breaks rules, all of which `violations` lists."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class UnauthenticatedError(EntresolError):
    """The call carries no credentials, or none that can be verified."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDeniedError(EntresolError):
    """The caller may not do this, whether or not the resource exists."""

    code = grpc.StatusCode.PERMISSION_DENIED


class NotFoundError(EntresolError):
    """No resource has this name."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(EntresolError):
    """The name, or a unique combination of fields, is taken."""

    code = grpc.StatusCode.ALREADY_EXISTS


class AbortedError(EntresolError):
    """The etag is stale or a concurrent change won: read again, decide again."""

    code = grpc.StatusCode.ABORTED


class FailedPreconditionError(EntresolError):
    """The system is not in the state that the call needs."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class OutOfRangeError(EntresolError):
    """The call reached past the end of what there is."""

    code = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhaustedError(EntresolError):
    """A quota or bound was reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class UnavailableError(EntresolError):
    """The server, or a part it needs, is away."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceededError(EntresolError):
    """Time ran out; the call may or may not have acted."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class CallCancelledError(EntresolError):
    """The server or the connection cancelled the call."""

    code = grpc.StatusCode.CANCELLED


class UnimplementedError(EntresolError):
    """The server has no such method."""

    code = grpc.StatusCode.UNIMPLEMENTED


class InternalError(EntresolError):
    """The server failed; `metadata["trace"]` finds the cause in its log."""

    code = grpc.StatusCode.INTERNAL


class DataLossError(EntresolError):
    """Data was lost for good."""

    code = grpc.StatusCode.DATA_LOSS


class UnknownError(EntresolError):
    """The status says nothing that is known here."""
