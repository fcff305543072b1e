"""The trace link: one span and one duration for every call, in the caller's trace when it sends one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import extract
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    format_trace_id,
    set_span_in_context,
    use_span,
)

from entresol import telemetry
from entresol.errors import Code
from entresol.schema.model import Method
from entresol.service.call import Answer, Call, Handler, Reply, finished, is_awaitable, replies
from entresol.service.status import CallFailedError

_NOWHERE = Context()  # in which there is no span
_OURS = (Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)


def trace(following: Handler, request: Any, call: Call) -> Answer:
    """Measure the call, and give it a span and a trace id when traces are wanted."""
    started = time.perf_counter()
    if call.method.server_streaming:
        return _followed(following, request, call, started)
    if telemetry.tracing():
        return _traced(following, request, call, started)
    token = telemetry.method.set(call.method.full_name)
    try:
        answer = following(request, call)
    except CallFailedError as error:
        record(call.method, started, error.status.code)
        raise
    finally:
        telemetry.method.reset(token)
    if is_awaitable(answer):
        return _measured(answer, call, started)
    record(call.method, started, 0)
    return answer


async def _measured(answer: Awaitable[Reply], call: Call, started: float) -> Reply:
    code = 0
    token = telemetry.method.set(call.method.full_name)  # again: this may be another task
    try:
        return await answer
    except CallFailedError as error:
        code = error.status.code
        raise
    except asyncio.CancelledError:
        code = Code.CANCELLED
        raise
    finally:
        telemetry.method.reset(token)
        record(call.method, started, code)


async def _followed(following: Handler, request: Any, call: Call, started: float) -> AsyncIterator[Any]:
    """Measure a stream from its beginning to its end, which may be that nobody takes more of it."""
    span, code = _span(call), 0
    try:
        async with replies(following(request, call)) as stream:
            while True:
                token = telemetry.method.set(call.method.full_name)
                with use_span(span, record_exception=False, set_status_on_exception=False):
                    try:
                        reply = await anext(stream)
                    except StopAsyncIteration:
                        return
                    finally:
                        telemetry.method.reset(token)
                yield reply
    except CallFailedError as error:
        code = error.status.code
        _tell(span, error)
        raise
    except (asyncio.CancelledError, GeneratorExit):
        code = Code.CANCELLED
        raise
    finally:
        record(call.method, started, code, span)
        span.end()


def record(method: Method, started: float, code: int, span: Span | None = None) -> None:
    """Note the duration of a call that began at `started` by time.perf_counter, and how it ended.

    Its exemplar is `span`, if that is recorded; without one, the span that this is called in.
    """
    duration_s = time.perf_counter() - started
    telemetry.CALL_DURATION.record(duration_s, _outcome(method.full_name, code), span)


def note(method: Method, started: float) -> None:
    """Note a call without links that went well: its duration, and if it is to be traced a span, now that it is over."""
    if not telemetry.sampled():
        record(method, started, 0, INVALID_SPAN)
        return
    end_ns = time.time_ns()
    start_ns = end_ns - int((time.perf_counter() - started) * 1e9)
    name, attributes = _named(method.full_name)
    span = telemetry.tracer.start_span(name, _NOWHERE, SpanKind.SERVER, attributes, None, start_ns)
    record(method, started, 0, span)
    span.end(end_ns)


@lru_cache(maxsize=4096)
def _outcome(full_name: str, code: int) -> Mapping[str, str | int]:
    return {**_named(full_name)[1], telemetry.STATUS: code}


@lru_cache(maxsize=4096)
def _named(full_name: str) -> tuple[str, Mapping[str, str]]:
    """Return the name and the attributes of a method's spans."""
    service, _, name = full_name.rpartition(".")
    return f"{service}/{name}", {telemetry.SERVICE: service, telemetry.METHOD: name}


async def _traced(following: Handler, request: Any, call: Call, started: float) -> Reply:
    span = _span(call)
    within = attach(set_span_in_context(span))
    try:
        return await _measured(_begun(following, request, call), call, started)
    except CallFailedError as error:
        _tell(span, error)
        raise
    finally:
        detach(within)
        span.end()


async def _begun(following: Handler, request: Any, call: Call) -> Reply:
    return await finished(following(request, call))


def _span(call: Call) -> Span:
    """Begin a span in the caller's trace, and tell the call its trace id; nothing when no traces are wanted."""
    if not telemetry.tracing():
        return INVALID_SPAN
    name, attributes = _named(call.method.full_name)
    span = telemetry.tracer.start_span(name, extract(call.metadata), SpanKind.SERVER, attributes)
    call.trace_id = format_trace_id(span.get_span_context().trace_id)
    return span


def _tell(span: Span, error: CallFailedError) -> None:
    span.set_attribute(telemetry.STATUS, error.status.code)
    if error.status.code in _OURS:  # the server's failure, not the caller's
        span.set_status(Status(StatusCode.ERROR, error.status.message))
