"""A line of the log: what it always has, and what it never shows."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_span_id, format_trace_id, use_span

from entresol import logs, telemetry
from entresol.errors import ConfigurationError
from entresol.redaction import HIDDEN

SECRET = "hunter2"
URL = f"postgresql://ann:{SECRET}@db/app"


class Lines(logging.Handler):
    """Keeps lines as they would be written."""

    def __init__(self, *, is_json: bool) -> None:
        super().__init__()
        self.setFormatter(logs.formatter(is_json=is_json))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def last(self) -> Any:
        return json.loads(self.lines[-1])


@pytest.fixture
def log() -> logging.Logger:
    made = logging.Logger("entresol.test")
    made.addHandler(Lines(is_json=True))
    return made


def last(log: logging.Logger) -> Any:
    (handler,) = log.handlers
    assert isinstance(handler, Lines)
    return handler.last


def test_a_line_has_time_level_logger_and_message(log: logging.Logger) -> None:
    log.warning("replica %s left", "one")
    line = last(log)
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "logger": "entresol.test", "message": "replica one left"}


def test_a_line_within_a_span_and_a_call_says_so(log: logging.Logger) -> None:
    span = TracerProvider().get_tracer("test").start_span("call")
    context = span.get_span_context()
    token = telemetry.method.set("stories.v1.StoryService.GetStory")
    with use_span(span):
        log.info("seen", extra={"rows": 3})
    telemetry.method.reset(token)
    line = last(log)
    assert line["trace_id"] == format_trace_id(context.trace_id)
    assert line["span_id"] == format_span_id(context.span_id)
    assert (line["method"], line["rows"]) == ("stories.v1.StoryService.GetStory", 3)
    log.info("not any more")
    assert {"trace_id", "method"}.isdisjoint(last(log))


def test_passwords_are_hidden_wherever_they_stand(log: logging.Logger) -> None:
    log.error("cannot reach %s", URL, extra={"url": URL, "password": SECRET, "urls": [URL]})
    try:
        raise ValueError(f"no such server: {URL}")
    except ValueError:
        log.exception("failed")
    (handler,) = log.handlers
    assert isinstance(handler, Lines)
    first, second = handler.lines
    assert SECRET not in first + second
    assert json.loads(first)["message"] == f"cannot reach postgresql://ann:{HIDDEN}@db/app"
    assert "no such server" in json.loads(second)["exception"]


@pytest.mark.parametrize("is_json", [True, False])
def test_marked_values_of_messages_are_hidden_in_text_and_in_fields(*, is_json: bool) -> None:
    file = FileDescriptorProto(name="person.proto", syntax="proto3")
    message = file.message_type.add(name="Person")
    for number, name in enumerate(("name", "secret"), 1):
        made = message.field.add(
            name=name, number=number,
            label=FieldDescriptorProto.LABEL_OPTIONAL, type=FieldDescriptorProto.TYPE_STRING,
        )  # fmt: skip
        made.options.debug_redact = name == "secret"
    pool = DescriptorPool()
    pool.Add(file)
    person = GetMessageClass(pool.FindMessageTypeByName("Person"))(name="ann", secret=SECRET)
    log, lines = logging.Logger("entresol.test"), Lines(is_json=is_json)
    log.addHandler(lines)
    log.warning("%s and %r", person, person, extra={"person": person})
    log.warning("%(one)s", {"one": person})
    assert all(SECRET not in line and "ann" in line and HIDDEN in line for line in lines.lines)


def test_text_is_for_people() -> None:
    log, lines = logging.Logger("entresol.test"), Lines(is_json=False)
    log.addHandler(lines)
    log.warning("replica %s left", "one", extra={"lag_s": 3})
    (line,) = lines.lines
    assert all(part in line for part in ("warning", "replica one left", "entresol.test", "lag_s=3"))
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


def test_a_format_that_is_not_known_is_told() -> None:
    with pytest.raises(ConfigurationError, match="log_format: 'xml' is neither json nor text"):
        logs.start(logging.INFO, "xml")
