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


async def trace(following: Handler, request: Any, call: Call) -> Reply:
    """Measure the call and give it a trace id."""
    service, _, method = call.method.full_name.rpartition(".")
    attributes: dict[str, str | int] = {telemetry.SERVICE: service, telemetry.METHOD: method}
    started = time.perf_counter()
    code = 0
    with telemetry.tracer.start_as_current_span(
        f"{service}/{method}", extract(call.metadata), SpanKind.SERVER, attributes, record_exception=False
    ) as span:
        context = span.get_span_context()
        call.trace_id = format_trace_id(context.trace_id) if context.is_valid else ""
        try:
            return await following(request, call)
        except CallFailedError as error:
            code = error.status.code
            if code in (Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
                span.set_status(Status(StatusCode.ERROR, error.status.message))
            raise
        finally:
            attributes[telemetry.STATUS] = code
            span.set_attribute(telemetry.STATUS, code)
            telemetry.CALL_DURATION.record(time.perf_counter() - started, attributes)
