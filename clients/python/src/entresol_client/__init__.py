"""The runtime below every generated client: connections, retries, errors, pages and sessions.

Generated packages (`entresol_stories`) bring the clients of a domain; this package knows no domain.
"""

from entresol_client.asynchronous import AsyncConnection, AsyncPager, AsyncServiceClient
from entresol_client.blocking import Connection, Pager, ServiceClient
from entresol_client.errors import (
    AbortedError,
    AlreadyExistsError,
    CallCancelledError,
    DataLossError,
    DeadlineExceededError,
    EntresolError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
    Violation,
)
from entresol_client.method import LongMethod, Method, PagedMethod
from entresol_client.names import Name
from entresol_client.operations import AsyncOperation, Operation
from entresol_client.options import CallOptions, Consistency, Mask
from entresol_client.retry import NEVER, Retry
from entresol_client.session import Session
from entresol_client.trace import CallTrace, trace

__all__ = [
    "NEVER",
    "AbortedError",
    "AlreadyExistsError",
    "AsyncConnection",
    "AsyncOperation",
    "AsyncPager",
    "AsyncServiceClient",
    "CallCancelledError",
    "CallOptions",
    "CallTrace",
    "Connection",
    "Consistency",
    "DataLossError",
    "DeadlineExceededError",
    "EntresolError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "LongMethod",
    "Mask",
    "Method",
    "Name",
    "NotFoundError",
    "Operation",
    "OutOfRangeError",
    "PagedMethod",
    "Pager",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "Retry",
    "ServiceClient",
    "Session",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "Violation",
    "trace",
]
