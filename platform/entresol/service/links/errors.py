"""The errors link: whatever goes wrong further in leaves as one `google.rpc.Status`."""

from __future__ import annotations

from typing import Any

from entresol.service.call import Call, Handler, Reply
from entresol.service.status import CallFailedError, status_of


async def errors(following: Handler, request: Any, call: Call) -> Reply:
    """Turn any exception into CallFailedError; cancellation passes untouched."""
    try:
        return await following(request, call)
    except CallFailedError:
        raise
    except Exception as error:
        service = call.method.full_name.rpartition(".")[0]
        raise CallFailedError(status_of(error, service, call.trace_id)) from error
