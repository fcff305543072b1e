"""The trace link: one span and one duration for every call, in the caller's trace when it sends one."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id

from entresol import telemetry
from entresol.errors import Code
from entresol.service.call import Call, Handler, Reply
from entresol.service.status import CallFailedError

_OURS = (Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)


async def trace(following: Handler, request: Any, call: Call) -> Reply:
    """Measure the call, and give it a span and a trace id when traces are wanted."""
    service, _, method = call.method.full_name.rpartition(".")
    attributes: dict[str, str | int] = {telemetry.SERVICE: service, telemetry.METHOD: method}
    started = time.perf_counter()
    code = 0
    try:
        if telemetry.tracing():
            return await _traced(following, request, call, attributes)
        return await following(request, call)
    except CallFailedError as error:
        code = error.status.code
        raise
    finally:
        attributes[telemetry.STATUS] = code
        telemetry.CALL_DURATION.record(time.perf_counter() - started, attributes)


async def _traced(following: Handler, request: Any, call: Call, attributes: dict[str, str | int]) -> Reply:
    name = f"{attributes[telemetry.SERVICE]}/{attributes[telemetry.METHOD]}"
    with telemetry.tracer.start_as_current_span(
        name, extract(call.metadata), SpanKind.SERVER, attributes, record_exception=False
    ) as span:
        call.trace_id = format_trace_id(span.get_span_context().trace_id)
        try:
            return await following(request, call)
        except CallFailedError as error:
            span.set_attribute(telemetry.STATUS, error.status.code)
            if error.status.code in _OURS:  # the server's failure, not the caller's
                span.set_status(Status(StatusCode.ERROR, error.status.message))
            raise
