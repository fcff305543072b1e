"""How an operation is waited for: the pace alone, with time in the test's hands."""

from __future__ import annotations

from typing import Any

import pytest
from entresol_stories.v1 import GetStoryRequest, Story
from google.longrunning import operations_pb2
from google.protobuf.any_pb2 import Any as Packed
from google.rpc import error_details_pb2, status_pb2

from entresol_client import FailedPreconditionError, LongMethod, Operation, UnknownError
from entresol_client.operations import WAIT_S, Patience


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_server_that_waits_is_asked_again_at_once() -> None:
    clock = Time()
    patience = Patience(None, clock)
    for _ in range(3):
        assert patience.ask_s("operations/1") == WAIT_S
        clock.now_s += WAIT_S
        assert patience.pause_s() == 0.0


def test_a_server_that_does_not_wait_is_asked_less_and_less_often() -> None:
    patience = Patience(None, Time())
    pauses = []
    for _ in range(8):
        patience.ask_s("operations/1")
        pauses.append(patience.pause_s())
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert pauses[-1] == 10.0


def test_nothing_outlasts_the_time_that_is_given() -> None:
    clock = Time()
    patience = Patience(WAIT_S + 5.0, clock)
    assert patience.ask_s("operations/1") == WAIT_S
    clock.now_s += WAIT_S
    assert patience.ask_s("operations/1") == 5.0
    clock.now_s += 1.0
    assert patience.pause_s() == 0.2
    clock.now_s += 3.9
    patience.ask_s("operations/1")
    assert patience.pause_s() == pytest.approx(0.1)
    clock.now_s += 0.1
    with pytest.raises(TimeoutError, match="operations/1 is not done yet, and goes on"):
        patience.ask_s("operations/1")


def operation(**fields: Any) -> Operation[Story, GetStoryRequest]:
    method: LongMethod[GetStoryRequest, Story, GetStoryRequest] = LongMethod(
        "/s/Long",
        GetStoryRequest,
        operations_pb2.Operation,
        result_class=Story,
        metadata_class=GetStoryRequest,
    )
    message = operations_pb2.Operation(name="operations/1", done=True, **fields)
    return Operation(None, method, message, {})


def packed(message: Any) -> Packed:
    made = Packed()
    made.Pack(message)
    return made


def test_a_result_is_of_the_type_that_the_proto_promises() -> None:
    made = operation(response=packed(Story(title="Done")), metadata=packed(GetStoryRequest(name="stories/1")))
    assert made.result().title == "Done"
    assert made.metadata().name == "stories/1"
    with pytest.raises(
        UnknownError, match=r"'type.googleapis.com/stories.v1.GetStoryRequest', not of a Story"
    ):
        operation(response=packed(GetStoryRequest())).result()


def test_an_operation_that_failed_raises_its_own_error() -> None:
    info = error_details_pb2.ErrorInfo(reason="TOO_MANY", domain="stories", metadata={"count": "9"})
    status = status_pb2.Status(code=9, message="too many", details=[packed(info)])
    with pytest.raises(FailedPreconditionError) as caught:
        operation(error=status).result()
    assert (caught.value.reason, caught.value.metadata) == ("TOO_MANY", {"count": "9"})
