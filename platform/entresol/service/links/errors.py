"""The errors link: whatever goes wrong further in leaves as one `google.rpc.Status`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

from entresol.service.call import Answer, Call, Handler, Reply, is_awaitable, replies
from entresol.service.status import CallFailedError, status_of


def errors(following: Handler, request: Any, call: Call) -> Answer:
    """Turn any exception into CallFailedError; cancellation passes untouched."""
    if call.method.server_streaming:
        return _guarded_stream(following, request, call)
    try:
        answer = following(request, call)
    except Exception as error:
        raise _failed(error, call) from error
    return _guarded(answer, call) if is_awaitable(answer) else answer


async def _guarded(answer: Awaitable[Reply], call: Call) -> Reply:
    try:
        return await answer
    except Exception as error:
        raise _failed(error, call) from error


async def _guarded_stream(following: Handler, request: Any, call: Call) -> AsyncIterator[Any]:
    try:
        async with replies(following(request, call)) as stream:
            async for reply in stream:
                yield reply
    except Exception as error:
        raise _failed(error, call) from error


def _failed(error: Exception, call: Call) -> CallFailedError:
    if isinstance(error, CallFailedError):
        return error
    service = call.method.full_name.rpartition(".")[0]
    return CallFailedError(status_of(error, service, call.trace_id))
