"""Errors: every detail that a server sends reaches the caller, and nothing that it sends breaks the client."""

from __future__ import annotations

import pickle

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from entresol_client import EntresolError, InvalidArgumentError, NotFoundError, UnavailableError, UnknownError
from entresol_client.status import error_of


def trailing(*details: Message) -> list[tuple[str, str | bytes]]:
    status = status_pb2.Status()
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return [("grpc-status-details-bin", status.SerializeToString())]


def test_reason_domain_and_metadata_are_carried() -> None:
    info = error_details_pb2.ErrorInfo(
        reason="RESOURCE_NOT_FOUND", domain="stories.v1", metadata={"name": "stories/1"}
    )
    error = error_of(grpc.StatusCode.NOT_FOUND, "stories/1 does not exist", trailing(info))
    assert isinstance(error, NotFoundError)
    assert (error.reason, error.domain, error.metadata) == (
        "RESOURCE_NOT_FOUND",
        "stories.v1",
        {"name": "stories/1"},
    )
    assert str(error) == "NOT_FOUND: stories/1 does not exist [RESOURCE_NOT_FOUND]"


def test_all_violations_are_carried_and_shown() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="story.title", description="must not be empty", reason="REQUIRED")
    bad.field_violations.add(field="story.url", description="is no URL")
    error = error_of(grpc.StatusCode.INVALID_ARGUMENT, "two fields are wrong", trailing(bad))
    assert isinstance(error, InvalidArgumentError)
    assert [(found.field, found.reason) for found in error.violations] == [
        ("story.title", "REQUIRED"),
        ("story.url", ""),
    ]
    assert str(error).splitlines()[1:] == ["  story.title: must not be empty", "  story.url: is no URL"]


def test_the_delay_to_wait_is_carried_in_seconds() -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)
    assert error_of(grpc.StatusCode.UNAVAILABLE, "away", trailing(retry)).retry_after_s == 1.5


def test_every_code_has_a_class_of_its_own() -> None:
    codes = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
    classes = {type(error_of(code, "", [])) for code in codes}
    assert len(classes) == len(codes) == 16
    assert all(issubclass(kind, EntresolError) for kind in classes)


@pytest.mark.parametrize(
    "metadata", [[], [("grpc-status-details-bin", b"\xff\xff")], trailing(status_pb2.Status())]
)
def test_details_that_say_nothing_leave_code_and_text(metadata: list[tuple[str, str | bytes]]) -> None:
    error = error_of(grpc.StatusCode.UNAVAILABLE, "away", metadata)
    assert isinstance(error, UnavailableError)
    assert str(error) == "UNAVAILABLE: away"


def test_an_error_without_a_text_says_so() -> None:
    error = error_of(grpc.StatusCode.UNKNOWN, None, [])
    assert isinstance(error, UnknownError)
    assert str(error) == "UNKNOWN: the server gave no reason"


def test_errors_survive_pickling() -> None:
    error = NotFoundError("gone", reason="RESOURCE_NOT_FOUND")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(copy), str(copy)) == (NotFoundError, str(error))
