"""Every error of the platform in one tree: a code, a reason that programs read, a text that people read (AIP-193).

EntresolError
├── InvalidArgumentError          INVALID_ARGUMENT     every violation at once
│   └── PageTokenError
├── UnauthenticatedError          UNAUTHENTICATED
├── PermissionDeniedError         PERMISSION_DENIED
├── NotFoundError                 NOT_FOUND
├── AlreadyExistsError            ALREADY_EXISTS
├── StaleEtagError                ABORTED
├── ConflictError                 ABORTED              serialization failure or deadlock, after our own retries
├── FailedPreconditionError       FAILED_PRECONDITION
│   ├── ChildrenExistError
│   ├── DeletedError
│   ├── ReferenceMissingError
│   └── SlotLostError                                  changes since an unknown moment were missed
├── ResourceExhaustedError        RESOURCE_EXHAUSTED   always with a time to retry after
├── MessageTooLargeError          RESOURCE_EXHAUSTED   without one: it would be as large again
├── UnavailableError              UNAVAILABLE          always with a time to retry after
│   ├── StoreUnavailableError
│   ├── BrokerUnavailableError
│   └── SlotBusyError                                  another process reads the replication slot
├── DeadlineExceededError         DEADLINE_EXCEEDED
├── UnimplementedError            UNIMPLEMENTED
├── CardinalityError              UNIMPLEMENTED        not one request where a method takes one
├── FrameError                    INTERNAL             a message is not as its own frame, or its call's headers, say
├── MigrationError                (start-up)           a migration that cannot be applied as it is
├── SchemaError                   (start-up)           every mistake of the protos at once
├── ConfigurationError            (start-up)           a setting or a server that cannot work
├── ServerStartError              (start-up)           an embedded server that did not come up
└── ServerCommandError            (demo, tests)        a command to an embedded server that failed
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import ClassVar


class Code(enum.IntEnum):
    """The canonical status codes, with the numbers of `google.rpc.Code`."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with a request: the field's path, the rule it breaks, and what to send instead."""

    field: str
    description: str
    reason: str = "INVALID_VALUE"


class EntresolError(Exception):
    """An error with a code, a reason and a text that may be shown to any caller.

    `metadata` holds every part of the text that varies, as AIP-193 asks. The cause, if there is one, is for
    the log and never for the client.
    """

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = "INTERNAL"
    retry_after_s: float | None = None

    def __init__(self, message: str, *, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: Mapping[str, str] = dict(metadata or {})


class InvalidArgumentError(EntresolError):
    """The request breaks rules, all of which `violations` lists."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_ARGUMENT"

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        first = self.violations[0]
        more = f" (and {len(self.violations) - 1} more)" if len(self.violations) > 1 else ""
        super().__init__(f"{first.field}: {first.description}{more}", metadata={"field": first.field})

    @classmethod
    def of(cls, field: str, description: str, reason: str = "INVALID_VALUE") -> InvalidArgumentError:
        """Build the error of a single violation."""
        return cls([Violation(field, description, reason)])


class PageTokenError(InvalidArgumentError):
    """The page token is not one of ours, or belongs to another query."""

    reason = "INVALID_PAGE_TOKEN"


class UnauthenticatedError(EntresolError):
    """The call carries no credentials, or none that can be verified."""

    code = Code.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDeniedError(EntresolError):
    """The caller may not do this, whether or not the resource exists."""

    code = Code.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class NotFoundError(EntresolError):
    """No resource has this name, or these, all of which were asked for at once."""

    code = Code.NOT_FOUND
    reason = "RESOURCE_NOT_FOUND"
    names_bytes_max: ClassVar[int] = 768  # of those that the text tells; the others are counted

    def __init__(self, name: str, *more: str) -> None:
        if not more:
            super().__init__(f"{name} does not exist", metadata={"name": name})
            return
        sizes = accumulate(len(one.encode()) + 2 for one in more)
        told = [name, *(one for one, size in zip(more, sizes, strict=True) if size <= self.names_bytes_max)]
        names, untold = ", ".join(told), len(more) + 1 - len(told)
        rest = f" and {untold} more" if untold else ""
        super().__init__(
            f"{names}{rest} do not exist",
            metadata={"name": name, "names": names, "missing": str(len(more) + 1)},
        )


class AlreadyExistsError(EntresolError):
    """The name, or a unique combination of fields, is taken."""

    code = Code.ALREADY_EXISTS
    reason = "RESOURCE_ALREADY_EXISTS"


class StaleEtagError(EntresolError):
    """The resource changed since the caller read it, or never had this etag; read again and decide again.

    One text for both: an etag that is made up may look like any other, and the remedy is the same.
    """

    code = Code.ABORTED
    reason = "STALE_ETAG"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"etag: {name} has another one, for it was changed since or never had this; read it again and repeat",
            metadata={"name": name, "field": "etag"},
        )


class ConflictError(EntresolError):
    """A concurrent transaction won; the whole call may be tried again."""

    code = Code.ABORTED
    reason = "CONCURRENT_CHANGE"


class FailedPreconditionError(EntresolError):
    """The system is not in the state that the call needs."""

    code = Code.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class ChildrenExistError(FailedPreconditionError):
    """The resource has children, or others refer to it, and `force` was not given."""

    reason = "RESOURCE_HAS_CHILDREN"


class DeletedError(FailedPreconditionError):
    """The resource is marked as deleted, and only Undelete may change it."""

    reason = "RESOURCE_DELETED"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is deleted; undelete it first", metadata={"name": name})


class ReferenceMissingError(FailedPreconditionError):
    """A field refers to a resource that does not exist."""

    reason = "REFERENCE_NOT_FOUND"


class SlotLostError(FailedPreconditionError):
    """The replication slot is gone, or the server kept too little for it: changes may have been missed."""

    reason = "REPLICATION_SLOT_LOST"


class ResourceExhaustedError(EntresolError):
    """A bound was reached: pool wait, quota or queue. Trying again after `retry_after_s` may work."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"

    def __init__(
        self, message: str, *, retry_after_s: float = 0.1, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, metadata=metadata)
        self.retry_after_s = retry_after_s


class QueueFullError(ResourceExhaustedError):
    """A queue has as many jobs that wait as the method allows that would begin another."""

    reason = "QUEUE_FULL"

    def __init__(self, queue: str, queue_max: int) -> None:
        super().__init__(
            f"queue {queue} is full: {queue_max} jobs wait already; try again shortly",
            retry_after_s=1.0,
            metadata={"queue": queue, "limit": str(queue_max)},
        )


class MessageTooLargeError(EntresolError):
    """A message is larger than is taken, and would be so again."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "MESSAGE_TOO_LARGE"

    def __init__(self, size_bytes: int | None, size_bytes_max: int) -> None:
        """Tell of a message of `size_bytes`, None when nobody counted them."""
        counted = "more" if size_bytes is None else f"{size_bytes} bytes"
        super().__init__(
            f"a message has {counted}; at most {size_bytes_max} are taken, send less at once",
            metadata={"limit": str(size_bytes_max)}
            | ({} if size_bytes is None else {"size": str(size_bytes)}),
        )


class UnavailableError(EntresolError):
    """A part that the call needs is away. Trying again after `retry_after_s` may work."""

    code = Code.UNAVAILABLE
    reason = "UNAVAILABLE"

    def __init__(
        self, message: str, *, retry_after_s: float = 0.2, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, metadata=metadata)
        self.retry_after_s = retry_after_s


class StoreUnavailableError(UnavailableError):
    """No database server can answer."""

    reason = "DATABASE_UNAVAILABLE"


class BrokerUnavailableError(UnavailableError):
    """RabbitMQ cannot be reached, or did not confirm in time."""

    reason = "BROKER_UNAVAILABLE"


class SlotBusyError(UnavailableError):
    """Another process reads the replication slot; this one may stand by and ask again."""

    reason = "REPLICATION_SLOT_BUSY"


class DeadlineExceededError(EntresolError):
    """The caller's deadline passed before the work was done."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class UnimplementedError(EntresolError):
    """The method does not exist, or not on this server."""

    code = Code.UNIMPLEMENTED
    reason = "METHOD_NOT_FOUND"


class CardinalityError(EntresolError):
    """The method takes one request, and the call brought none, or several."""

    code = Code.UNIMPLEMENTED
    reason = "REQUEST_CARDINALITY"


class FrameError(EntresolError):
    """A message is not as its own frame, or the headers of its call, say."""

    code = Code.INTERNAL
    reason = "INVALID_FRAME"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing wrong with a proto, or a function of it: where, which rule, and the remedy."""

    file: str
    line: int
    rule: str
    element: str
    problem: str
    remedy: str = field(default="")

    def __str__(self) -> str:
        """Render as `file:line: element: problem; remedy [rule]`, the form editors jump to."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        element = f"{self.element}: " if self.element else ""
        return f"{self.file}:{self.line}: {element}{self.problem}{remedy} [{self.rule}]"


class SchemaError(EntresolError):
    """The protos, or the functions of their custom methods, break rules, all of which `mistakes` lists.

    Unless it `is_complete`: protos that do not compile cannot be looked at further.
    """

    reason = "INVALID_SCHEMA"

    def __init__(self, mistakes: Sequence[Mistake], *, complete: bool = True) -> None:
        self.mistakes = tuple(sorted(mistakes))
        self.is_complete = complete
        count = len(self.mistakes)
        lines = [f"{count} mistake{'s' if count != 1 else ''}:", *map(str, self.mistakes)]
        if not complete:
            lines.append(
                "there may be more: of an option only the first unknown word is told, and nothing else is checked "
                "until the protos compile"
            )
        super().__init__("\n".join(lines))


class ConfigurationError(EntresolError):
    """A setting, or a server it points to, cannot work; the text says what to change."""

    reason = "INVALID_CONFIGURATION"


class MigrationError(EntresolError):
    """A migration cannot be applied; the text names the file, the line and the remedy."""

    reason = "MIGRATION_FAILED"


class ServerStartError(EntresolError):
    """An embedded server did not come up; the text ends with the last lines of its log."""

    reason = "SERVER_NOT_STARTED"


class ServerCommandError(EntresolError):
    """A command to an embedded server failed; the text is what the server, or its client program, said."""

    reason = "SERVER_COMMAND_FAILED"
