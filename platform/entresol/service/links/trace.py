"""The trace link: one span and one duration for every call, in the caller's trace when it sends one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    format_trace_id,
    use_span,
)

from entresol import telemetry
from entresol.errors import Code
from entresol.schema.model import Method
from entresol.service.call import Answer, Call, Handler, Reply, finished, is_awaitable, replies
from entresol.service.status import CallFailedError

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
        span.end()
        record(call.method, started, code, span)


def record(method: Method, started: float, code: int, span: Span | None = None) -> None:
    """Note the duration of a call that began at `started` by time.perf_counter, and how it ended.

    Its exemplar is `span`, if that is recorded; without one, the span that this is called in.
    """
    duration_s = time.perf_counter() - started
    telemetry.CALL_DURATION.record(duration_s, _outcome(method.full_name, code), span)


def note(method: Method, started: float) -> None:
    """Note a call without links that went well: its duration, and if it is to be traced a span, now that it is over."""
    span = None
    if telemetry.sampled():
        end_ns = time.time_ns()
        start_ns = end_ns - int((time.perf_counter() - started) * 1e9)
        attributes = _attributes(method.full_name)
        span = telemetry.tracer.start_span(
            _name(attributes), Context(), SpanKind.SERVER, attributes, start_time=start_ns
        )
        span.end(end_ns)
    record(method, started, 0, span)


@lru_cache(maxsize=4096)
def _outcome(full_name: str, code: int) -> Mapping[str, str | int]:
    return {**_attributes(full_name), telemetry.STATUS: code}


def _attributes(full_name: str) -> dict[str, str | int]:
    service, _, name = full_name.rpartition(".")
    return {telemetry.SERVICE: service, telemetry.METHOD: name}


async def _traced(following: Handler, request: Any, call: Call, started: float) -> Reply:
    span = _span(call)
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            return await _measured(_begun(following, request, call), call, started)
        except CallFailedError as error:
            _tell(span, error)
            raise


async def _begun(following: Handler, request: Any, call: Call) -> Reply:
    return await finished(following(request, call))


def _span(call: Call) -> Span:
    """Begin a span in the caller's trace, and tell the call its trace id; nothing when no traces are wanted."""
    if not telemetry.tracing():
        return INVALID_SPAN
    attributes = _attributes(call.method.full_name)
    span = telemetry.tracer.start_span(_name(attributes), extract(call.metadata), SpanKind.SERVER, attributes)
    call.trace_id = format_trace_id(span.get_span_context().trace_id)
    return span


def _name(attributes: Mapping[str, str | int]) -> str:
    return f"{attributes[telemetry.SERVICE]}/{attributes[telemetry.METHOD]}"


def _tell(span: Span, error: CallFailedError) -> None:
    span.set_attribute(telemetry.STATUS, error.status.code)
    if error.status.code in _OURS:  # the server's failure, not the caller's
        span.set_status(Status(StatusCode.ERROR, error.status.message))
