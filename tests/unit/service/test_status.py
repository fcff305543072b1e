"""Errors on the wire are what AIP-193 asks for, and never more than a caller may know."""

from __future__ import annotations

import logging

import pytest
from google.rpc import error_details_pb2, status_pb2

from entresol.errors import Code, InvalidArgumentError, NotFoundError, UnavailableError, Violation
from entresol.service.status import status_of


def details(status: status_pb2.Status, kind: type) -> list:
    found = []
    for packed in status.details:
        message = kind()
        if packed.Unpack(message):
            found.append(message)
    return found


def test_rule_135_every_error_has_one_error_info() -> None:
    status = status_of(NotFoundError("stories/1"), "stories.v1.StoryService", "")
    (info,) = details(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == ("RESOURCE_NOT_FOUND", "stories.v1.StoryService")
    assert status.code == Code.NOT_FOUND


def test_rule_136_what_varies_in_the_text_is_in_the_metadata() -> None:
    (info,) = details(status_of(NotFoundError("stories/1"), "d", ""), error_details_pb2.ErrorInfo)
    assert info.metadata["name"] == "stories/1"


def test_rule_137_bad_requests_list_every_violation_in_one_detail() -> None:
    error = InvalidArgumentError([Violation("a", "is wrong"), Violation("b.c", "is missing")])
    (bad,) = details(status_of(error, "d", ""), error_details_pb2.BadRequest)
    assert [violation.field for violation in bad.field_violations] == ["a", "b.c"]


def test_what_may_work_later_says_when() -> None:
    (retry,) = details(
        status_of(UnavailableError("away", retry_after_s=0.25), "d", ""), error_details_pb2.RetryInfo
    )
    assert retry.retry_delay.ToMilliseconds() == 250


def test_rule_139_a_bug_shows_its_trace_id_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status = status_of(RuntimeError("SELECT secret FROM internals"), "d", "abc123")
    assert status.code == Code.INTERNAL
    assert "secret" not in status.message
    (info,) = details(status, error_details_pb2.ErrorInfo)
    assert info.metadata["trace"] == "abc123"
    assert "secret" in caplog.text
