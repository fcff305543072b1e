"""Errors on the wire: the one place where an error becomes `google.rpc.Status` (AIP-193)."""

from __future__ import annotations

import logging
import traceback
import uuid
from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from entresol.errors import Code, EntresolError, InvalidArgumentError

log = logging.getLogger(__name__)

# Statuses travel in HTTP/2 headers, of which many clients accept no more than 8 KiB altogether.
_MESSAGE_BYTES_MAX = 1024
_DETAILS_BYTES_MAX = 4096
_FRAMES_MAX = 10
_INTERNAL_TEXT = "the server failed; its log has the cause under this trace id"


class CallFailedError(Exception):
    """A call ended with this status. Transports send it and look no further; `trailing` is what a client received."""

    def __init__(self, status: status_pb2.Status, trailing: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__(status.message)
        self.status = status
        self.trailing = trailing

    @property
    def code(self) -> Code:
        """Return the status code."""
        return Code(self.status.code)


def status_of(error: Exception, domain: str, trace_id: str) -> status_pb2.Status:
    """Return the status of an error; what is not an EntresolError becomes INTERNAL and its cause goes to the log."""
    if not isinstance(error, EntresolError):
        trace_id = trace_id or uuid.uuid4().hex
        log.error("call failed, trace %s", trace_id, exc_info=error)
        info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=domain, metadata={"trace": trace_id})
        return _pack(Code.INTERNAL, _INTERNAL_TEXT, [info])
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason,
            domain=domain,
            metadata={key: _cut(value, _MESSAGE_BYTES_MAX) for key, value in error.metadata.items()},
        )
    ]
    if isinstance(error, InvalidArgumentError):
        details.append(_bad_request(error))
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(retry)
    return _pack(error.code, error.message, details)


def failure_of(error: Exception, domain: str, trace_id: str) -> status_pb2.Status:
    """Return the status of an error as operators are told it: of what became INTERNAL with text and place."""
    status = status_of(error, domain, trace_id)
    if not isinstance(error, EntresolError):
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
        debug = error_details_pb2.DebugInfo(
            stack_entries=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            detail=_cut("".join(traceback.format_exception_only(error)).strip(), _MESSAGE_BYTES_MAX),
        )
        status.details.add().Pack(debug)
    return status


def for_callers(status: status_pb2.Status) -> None:
    """Take what only operators are told out of a `google.rpc.Status`, of whichever pool."""
    kept = [detail for detail in status.details if not detail.type_url.endswith("/google.rpc.DebugInfo")]
    del status.details[:]
    status.details.extend(kept)


def _bad_request(error: InvalidArgumentError) -> error_details_pb2.BadRequest:
    """Return the violations, as many as there is room for; the message tells how many there are."""
    found = error_details_pb2.BadRequest()
    size_bytes = 0
    for one in error.violations:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_cut(one.field, _MESSAGE_BYTES_MAX),
            description=_cut(one.description, _MESSAGE_BYTES_MAX),
            reason=one.reason,
        )
        size_bytes += violation.ByteSize()
        if size_bytes > _DETAILS_BYTES_MAX:
            break
        found.field_violations.append(violation)
    return found


def _cut(text: str, size_bytes_max: int) -> str:
    data = text.encode(errors="replace")
    return text if len(data) <= size_bytes_max else data[: size_bytes_max - 3].decode(errors="ignore") + "..."


def _pack(code: Code, message: str, details: list[Message]) -> status_pb2.Status:
    status = status_pb2.Status(code=int(code), message=_cut(message, _MESSAGE_BYTES_MAX))
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status
