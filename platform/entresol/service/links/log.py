"""The log link, which is there only when `log_calls` asks for it: a line for each call, or for each that failed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from google.protobuf.message import Message

from entresol.errors import Code, ConfigurationError
from entresol.service.call import ANSWERED_BY_KEY, Answer, Call, Handler, Link, Reply, is_awaitable, replies
from entresol.service.status import CallFailedError

log = logging.getLogger("entresol.calls")

ALL, ERRORS = "all", "errors"


def logged(wanted: str) -> Link:
    """Return the link that writes lines for the calls that are `wanted`.

    Raises:
        ConfigurationError: they are neither all nor errors.
    """
    if wanted not in (ALL, ERRORS):
        raise ConfigurationError(
            f"setting log_calls: {wanted!r} is neither {ALL} nor {ERRORS}", metadata={"setting": "log_calls"}
        )
    log.setLevel(logging.INFO)
    is_all = wanted == ALL

    def tell(call: Call, started: float, code: int, in_bytes: int, out_bytes: int) -> None:
        if code or is_all:
            facts = {
                "method": call.method.full_name,
                "code": Code(code).name if code else "OK",
                "duration_ms": round((time.perf_counter() - started) * 1000, 3),
                "caller": call.caller.subject,
                "request_bytes": in_bytes,
                "reply_bytes": out_bytes,
                "answered_by": call.trailing.get(ANSWERED_BY_KEY, ""),
            }
            log.info("call", extra=facts)

    async def told(answer: Awaitable[Reply], call: Call, started: float, in_bytes: int) -> Reply:
        code, out_bytes = 0, 0
        try:
            reply = await answer
            out_bytes = _size(reply)
            return reply
        except BaseException as error:
            code = _code(error)
            raise
        finally:
            tell(call, started, code, in_bytes, out_bytes)

    async def told_each(following: Handler, request: Any, call: Call, started: float) -> AsyncIterator[Any]:
        code, out_bytes = 0, 0
        try:
            async with replies(following(request, call)) as stream:
                async for reply in stream:
                    out_bytes += _size(reply)
                    yield reply
        except BaseException as error:
            code = _code(error)
            raise
        finally:
            tell(call, started, code, _size(request), out_bytes)

    def link(following: Handler, request: Any, call: Call) -> Answer:
        started = time.perf_counter()
        if call.method.server_streaming:
            return told_each(following, request, call, started)
        try:
            answer = following(request, call)
        except CallFailedError as error:
            tell(call, started, error.status.code, _size(request), 0)
            raise
        if is_awaitable(answer):
            return told(answer, call, started, _size(request))
        tell(call, started, 0, _size(request), _size(answer))
        return answer

    return link


def _size(message: Any) -> int:
    """Return the bytes of a request or a reply; of a stream of requests 0, for nobody counts them."""
    if isinstance(message, bytes):
        return len(message)
    return message.ByteSize() if isinstance(message, Message) else 0


def _code(error: BaseException) -> int:
    if isinstance(error, CallFailedError):
        return int(error.status.code)
    return Code.CANCELLED if isinstance(error, asyncio.CancelledError | GeneratorExit) else Code.UNKNOWN
