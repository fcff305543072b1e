"""Errors from the wire: the one place where a gRPC status becomes an `EntresolError` (AIP-193)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from entresol_client import errors
from entresol_client.options import Metadata, values_of

_DETAILS_KEY = "grpc-status-details-bin"
_CLASSES: dict[Any, type[errors.EntresolError]] = {
    kind.code: kind for kind in errors.EntresolError.__subclasses__()
}
_CODES: dict[int, Any] = {code.value[0]: code for code in grpc.StatusCode}


def error_of(code: Any, text: str | None, trailing: Metadata) -> errors.EntresolError:
    """Return the error of a call that ended with this status code, text and trailing metadata."""
    return _error(code, text, _status(trailing).details)


def error_of_status(status: Any) -> errors.EntresolError:
    """Return the error that a `google.rpc.Status` in a message stands for: that of an operation that failed."""
    return _error(_CODES.get(status.code), status.message, status.details)


def _error(code: Any, text: str | None, details: Iterable[Any]) -> errors.EntresolError:
    fields: dict[str, Any] = {}
    for detail in details:
        fields.update(_fields(detail))
    return _CLASSES.get(code, errors.UnknownError)(text or "the server gave no reason", **fields)


def _status(trailing: Metadata) -> status_pb2.Status:
    """Return the status with its details; an empty one when there is none that can be read."""
    for value in values_of(trailing, _DETAILS_KEY):
        try:
            return status_pb2.Status.FromString(value)
        except (DecodeError, TypeError):
            break  # whoever wrote this, the code and text still stand
    return status_pb2.Status()


def _fields(detail: Any) -> dict[str, Any]:
    """Return the arguments of an error that one detail of a status gives."""
    if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
        info = error_details_pb2.ErrorInfo.FromString(detail.value)
        return {"reason": info.reason, "domain": info.domain, "metadata": dict(info.metadata)}
    if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
        found = error_details_pb2.BadRequest.FromString(detail.value).field_violations
        return {"violations": [errors.Violation(v.field, v.description, v.reason) for v in found]}
    if detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
        delay = error_details_pb2.RetryInfo.FromString(detail.value).retry_delay
        return {"retry_after_s": delay.seconds + delay.nanos / 1e9}
    return {}
