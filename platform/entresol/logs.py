"""Log lines: JSON for programs, text for people; each with trace and method, none with a password or a marked value.

The project logs by the standard library. All that happens here happens when a line is written.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from google.protobuf.message import Message
from opentelemetry import trace
from structlog.stdlib import ExtraAdder, ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import EventDict, Processor

from entresol import telemetry
from entresol.errors import ConfigurationError
from entresol.redaction import message_shown, shown

FORMATS = ("", "json", "text")
_TIME = "time"


def start(level: int, form: str = "") -> None:
    """Write log lines to standard error from now on, unless somebody else has taken the root logger.

    `form` is json or text; if empty, text on a terminal and else JSON.

    Raises:
        ConfigurationError: it is neither.
    """
    if form not in FORMATS:
        raise ConfigurationError(
            f"setting log_format: {form!r} is neither json nor text", metadata={"setting": "log_format"}
        )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(is_json=form == "json" or (not form and not sys.stderr.isatty())))
    logging.basicConfig(level=level, handlers=[handler])


def formatter(*, is_json: bool) -> logging.Formatter:
    """Return what makes a line of a record of the standard library."""
    before: list[Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True, key=_TIME),
        add_log_level,
        add_logger_name,
        ExtraAdder(),
        _add_place,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _redact,
    ]
    after: list[Processor] = [ProcessorFormatter.remove_processors_meta]
    if is_json:
        after += [
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        colors = sys.stderr.isatty()
        after.append(
            structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, pad_level=False, timestamp_key=_TIME)
        )
    return _Formatter(processors=after, foreign_pre_chain=before)


class _Formatter(ProcessorFormatter):
    """A formatter that never sees what a marked field of a message holds."""

    def format(self, record: logging.LogRecord) -> str:
        arguments = _arguments(record.args)
        if arguments is not record.args:
            record = copy.copy(record)
            record.args = arguments
        return super().format(record)


def _arguments(arguments: Any) -> Any:
    """Return what a text is made with: messages as JSON has them."""
    if isinstance(arguments, Mapping) and any(isinstance(one, Message) for one in arguments.values()):
        return {key: _argument(one) for key, one in arguments.items()}
    if isinstance(arguments, tuple) and any(isinstance(one, Message) for one in arguments):
        return tuple(map(_argument, arguments))
    return arguments


def _argument(value: Any) -> Any:
    return message_shown(value) if isinstance(value, Message) else value


def _add_place(_logger: object, _name: str, event: EventDict) -> EventDict:
    """Add where the line was written: trace and span, and the method or job that ran."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    method = telemetry.method.get()
    if method:
        event.setdefault("method", method)
    return event


def _redact(_logger: object, _name: str, event: EventDict) -> EventDict:
    return {name: value if name.startswith("_") else shown(value, name) for name, value in event.items()}
