"""Conditions of writes (RFC 9110, 13): a request with `If-Match` writes only where the etag check proves it.

It takes the record's `etag`, or the validator that a GET of the record answered with, which holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from entresol.errors import InvalidArgumentError, StaleEtagError
from entresol.schema.model import Method, MethodKind, Role
from entresol.service.standard import request_field, resource_of
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport.web.validators import record_etag

_IF_MATCH, _IF_NONE_MATCH = "if-match", "if-none-match"
_CHECKED = (MethodKind.DELETE, MethodKind.UNDELETE)  # by an etag of their requests


def require(route: Route, headers: Mapping[str, str], message: Any) -> None:
    """Ask in the request of a write for what its headers ask.

    If-Unmodified-Since is ignored, as it must be where no time of modification is told.

    Raises:
        InvalidArgumentError: the method cannot prove it.
    """
    if route.method.safe:
        return
    if _IF_NONE_MATCH in headers:
        told = "is for reads; leave it out: a Create fails where there is a record already"
        raise InvalidArgumentError.of(_IF_NONE_MATCH, told)
    if (wanted := headers.get(_IF_MATCH)) is not None:
        _match(route, wanted, message)


def _match(route: Route, wanted: str, message: Any) -> None:
    holder = _holder(route, message)
    if holder is None:
        told = f"{route.method.full_name} checks no etag; leave the header out"
    elif not wanted or "," in wanted:
        told = "takes one etag, or `*`"
    elif getattr(message, "allow_missing", False):
        told = "asks that the record is there, allow_missing that it need not be; leave out one of them"
    elif wanted == "*":
        return  # the method fails where there is no record
    elif holder.etag.strip('"') not in ("", record_etag(wanted).strip('"')):
        told = "is not the etag that the request has; leave out one of them"
    else:
        holder.etag = record_etag(wanted)
        return
    raise InvalidArgumentError.of(_IF_MATCH, told)


def checks_etag(method: Method) -> bool:
    """Tell whether a standard method of this shape checks an etag, so that `If-Match` can ask for it."""
    if method.kind is MethodKind.UPDATE:
        return Role.ETAG in resource_of(method).by_role
    return method.kind in _CHECKED and "etag" in method.input.fields_by_name


def _holder(route: Route, message: Any) -> Any:
    """Return the message whose `etag` the method checks; None when it checks none."""
    method = route.method
    if route.is_custom or not checks_etag(method):
        return None
    return getattr(message, request_field(method)) if method.kind is MethodKind.UPDATE else message


def unmet(headers: Mapping[str, str], error: CallFailedError) -> CallFailedError | None:
    """Return what is told when the record is not as `If-Match` has it; None when the call failed of something else."""
    stale = _IF_MATCH in headers and any(
        detail.Is(ErrorInfo.DESCRIPTOR) and ErrorInfo.FromString(detail.value).reason == StaleEtagError.reason
        for detail in error.status.details
    )
    if not stale:
        return None
    status = Status()
    status.CopyFrom(error.status)
    status.message += "; If-Match takes the `etag` in the record, or that header of its GET without a mask"
    return CallFailedError(status)
