"""Custom methods and streams, and the server around every call: bounds, deadlines, start, health and end."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.integration.service.api import Api, Refusal, new_id
from tests.integration.service.conftest import settings_of
from tests.integration.service.museum import PROTOS, SERVICE, STRANGER, Hold, registry

from entresol.clock import Clock
from entresol.errors import Code, ConfigurationError, SchemaError
from entresol.schema.model import Model
from entresol.service.call import ANSWERED_BY_KEY, Call, finished
from entresol.service.registry import Context, Registry
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database
from entresol.transport.caller import Caller

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def another(database: Database, functions: Registry, **changes: Any) -> Iterator[RunningPlatform]:
    """Give a museum of its own over the shared records, without a cache."""
    settings = dataclasses.replace(settings_of(database, "another", PROTOS), cache_url="", **changes)
    with RunningPlatform(settings, functions=functions) as running:
        yield running


@pytest.fixture
def hall(halls: Api) -> str:
    return str(halls.call("CreateHall", hall={"title": "Hall"}, hall_id=new_id("hall")).name)


def vote(api: Api, story: str, voter: str, direction: str = "DIRECTION_UP") -> Any:
    return api.call("VoteStory", name=story, voter=voter, direction=direction)


def test_a_custom_method_counts_once_for_each_voter(api: Api, ann: str) -> None:
    story = api.call("CreateStory", story={"title": "t", "author": ann, "score": 10}).name
    bob = api.call("CreateUser", user={"displayName": "Bob"}).name
    scores = [
        vote(api, story, ann).score,
        vote(api, story, ann).score,
        vote(api, story, bob, "DIRECTION_DOWN").score,
        vote(api, story, ann, "DIRECTION_DOWN").score,
    ]
    assert scores == [11, 11, 10, 8]
    assert api.call("GetStory", name=story).score == 8
    assert {v.voter: v.direction for v in api.call("ListVotes", parent=story).votes} == {ann: 2, bob: 2}


def test_what_a_custom_method_wrote_is_in_no_cache_as_it_was(api: Api, ann: str, lagging: Any) -> None:
    story = api.call("CreateStory", story={"title": "t", "author": ann}).name
    api.read_until_cached("GetStory", name=story)
    with lagging():
        voted = vote(api, story, ann)
        api.session = ""
        assert api.call("GetStory", name=story) == voted


def test_a_deleted_story_takes_no_votes(api: Api, ann: str) -> None:
    story = api.call("CreateStory", story={"title": "t", "author": ann}).name
    api.call("DeleteStory", name=story)
    request = {"name": story, "voter": ann, "direction": "DIRECTION_UP"}
    api.refused(Code.NOT_FOUND, "VoteStory", **request)


def test_a_custom_method_that_fails_half_way_leaves_nothing(api: Api, ann: str) -> None:
    story = api.call("CreateStory", story={"title": "t", "author": ann})
    request = {"name": story.name, "voter": "users/nobody", "direction": "DIRECTION_UP"}
    api.refused(Code.FAILED_PRECONDITION, "VoteStory", **request)
    assert api.call("GetStory", name=story.name) == story
    assert not api.call("ListVotes", parent=story.name).votes


def test_a_custom_method_has_the_checks_and_the_policy_of_every_method(
    api: Api, halls: Api, hall: str
) -> None:
    refusal = api.refused(Code.INVALID_ARGUMENT, "VoteStory", name="x", voter="stories/x", direction=7)
    assert set(refusal.violations) == {"name", "voter", "direction"}
    halls.refused(Code.INVALID_ARGUMENT, "RenameHall", name=hall, title="x" * 21)
    halls.refused(Code.PERMISSION_DENIED, "RenameHall", STRANGER, name=hall, title="x")
    api.refused(
        Code.NOT_FOUND, "VoteStory", name="stories/nothing", voter="users/x", direction="DIRECTION_UP"
    )


def test_votes_at_the_same_time_are_all_counted(api: Api, ann: str) -> None:
    story = api.call("CreateStory", story={"title": "t", "author": ann}).name
    voters = api.call("BatchCreateUsers", requests=[{"user": {"displayName": "V"}} for _ in range(12)]).users
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda voter: vote(api, story, voter.name), voters))
    api.session = ""
    assert api.call("GetStory", name=story).score == 12


def test_a_stream_answers_again_and_again_and_says_who_answered(
    museum: RunningPlatform, halls: Api, hall: str
) -> None:
    request = halls.request("WatchHall", {"name": hall}).SerializeToString()
    with grpc.insecure_channel(museum.address) as channel:
        stream = channel.unary_stream(f"/{SERVICE}/WatchHall")(request, timeout=10)
        assert [halls.method("GetHall").output_class.FromString(reply).name for reply in stream] == [hall] * 3
        assert ANSWERED_BY_KEY in dict(stream.trailing_metadata())


def test_an_error_in_a_stream_is_an_error_like_any_other(museum: RunningPlatform, halls: Api) -> None:
    request = halls.request("WatchHall", {"name": "halls/nothing"}).SerializeToString()
    with grpc.insecure_channel(museum.address) as channel:
        refusals = []
        for metadata in ((), tuple(STRANGER.items())):
            with pytest.raises(grpc.RpcError) as caught:
                list(channel.unary_stream(f"/{SERVICE}/WatchHall")(request, timeout=10, metadata=metadata))
            refusals.append(refusal_of(caught.value))
    assert [refusal.status.code for refusal in refusals] == [Code.NOT_FOUND, Code.PERMISSION_DENIED]
    assert refusals[0].info.metadata["name"] == "halls/nothing"


def refusal_of(error: Any) -> Refusal:
    return Refusal(status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"]))


def test_a_request_that_is_too_large_is_told_by_how_much(api: Api, ann: str) -> None:
    refusal = api.refused(Code.RESOURCE_EXHAUSTED, "GetStory", name="stories/" + "x" * 5_000_000)
    assert refusal.info.reason == "MESSAGE_TOO_LARGE"
    assert refusal.info.metadata["limit"] == str(4 * 1024 * 1024)
    assert int(refusal.info.metadata["size"]) > 5_000_000
    assert api.call("GetUser", name=ann).name == ann


async def answered(entry: Route, request: bytes, call: Call) -> Any:
    return await finished(entry.handler(request, call))


def test_a_call_whose_deadline_has_passed_does_nothing(museum: RunningPlatform, halls: Api) -> None:
    entry = museum.platform.table[halls.method("CreateHall").path]
    name = new_id("late")
    request = halls.request("CreateHall", {"hall": {"title": "Late"}, "hall_id": name}).SerializeToString()
    for left_s in (0.0, -1.0):
        call = Call(entry.method, {}, Clock(), left_s)
        with pytest.raises(CallFailedError) as caught:
            museum.run(answered(entry, request, call))
        assert caught.value.status.code == Code.DEADLINE_EXCEEDED
    halls.refused(Code.NOT_FOUND, "GetHall", {"entresol-consistency": "strong"}, name=f"halls/{name}")


def test_no_call_outlives_the_longest_deadline(
    museum_database: Database, museum_model: Model, hall: str
) -> None:
    with (
        another(museum_database, registry(Hold()), deadline_max_s=0.1) as running,
        Caller(running.address) as caller,
    ):
        refusal = Api(caller, museum_model).refused(Code.DEADLINE_EXCEEDED, "HoldHall", name=hall)
    assert refusal.info.reason == "DEADLINE_EXCEEDED"


def test_a_call_too_many_is_refused_with_a_time_to_try_again(
    museum_database: Database, museum_model: Model, hall: str
) -> None:
    hold = Hold()
    with (
        another(museum_database, registry(hold), concurrency_max=1) as running,
        Caller(running.address) as caller,
        ThreadPoolExecutor(1) as threads,
    ):
        api = Api(caller, museum_model)
        held = threads.submit(api.call, "HoldHall", name=hall)
        try:
            assert hold.entered.wait(10)
            refusal = api.refused(Code.RESOURCE_EXHAUSTED, "GetHall", name=hall)
            assert check(running.address) == SERVING
        finally:
            running.run(hold.let_go())
        assert held.result(10).name == hall
        assert api.call("GetHall", name=hall).name == hall
    assert refusal.info.metadata["limit"] == "1"
    (retry,) = refusal.details(error_details_pb2.RetryInfo)
    assert 0 < retry.retry_delay.ToMilliseconds() <= 1000


def test_a_declared_method_without_a_function_keeps_the_server_from_starting(
    museum_database: Database,
) -> None:
    functions = registry()
    del functions.functions[f"{SERVICE}.BreakHall"]
    del functions.functions[f"{SERVICE}.WatchHall"]
    with pytest.raises(SchemaError) as caught, another(museum_database, functions):
        pass
    for name in ("BreakHall", "WatchHall"):
        assert f"{SERVICE}.{name}: is declared and has no function" in caught.value.message
        assert f"@entresol.method('{SERVICE}.{name}')" in caught.value.message


def test_a_function_without_a_declared_method_keeps_the_server_from_starting(
    museum_database: Database,
) -> None:
    functions = registry()
    functions.functions[f"{SERVICE}.CloseHall"] = functions.functions[f"{SERVICE}.HoldHall"]
    with (
        pytest.raises(SchemaError, match="CloseHall: has a function"),
        another(museum_database, functions),
    ):
        pass


def test_a_database_that_lacks_a_table_keeps_the_server_from_starting(stories: RunningPlatform) -> None:
    settings = dataclasses.replace(stories.settings, protos=str(PROTOS), functions="", cache_url="")
    with (
        pytest.raises(ConfigurationError, match="entresol migrate"),
        RunningPlatform(settings, functions=registry()),
    ):
        pass


def test_a_page_token_key_that_is_too_short_keeps_the_server_from_starting(museum_database: Database) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"setting token_keys: .* at least 16 bytes"),
        another(museum_database, registry(), token_keys=("short",)),
    ):
        pass


def test_a_method_and_a_policy_are_registered_once() -> None:
    functions = registry()
    with pytest.raises(ConfigurationError, match="two functions"):
        functions.method(f"{SERVICE}.HoldHall")(functions.functions[f"{SERVICE}.HoldHall"])
    with pytest.raises(
        ConfigurationError, match=r"two authorizers, at \S+museum\S*.py:\d+ and \S+:\d+; keep one"
    ):
        functions.authorizer(functions.policy)


def check(address: str, service: str = "") -> int:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10).status)


def test_health_answers_for_the_server_and_each_of_its_services(stories: RunningPlatform) -> None:
    for service in ("", "liveness", "grpc.health.v1.Health", *stories.platform.model.services):
        assert check(stories.address, service) == SERVING
    with pytest.raises(grpc.RpcError) as caught:
        check(stories.address, "nothing.v1.Nothing")
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_knows_every_service_and_its_messages(museum: RunningPlatform) -> None:
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"{SERVICE}"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="entresol.options.v1.ResourceOptions"),
    ]
    with grpc.insecure_channel(museum.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        services, *files = list(stub.ServerReflectionInfo(iter(requests), timeout=10))
    listed = {service.name for service in services.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health", "grpc.channelz.v1.Channelz"} <= listed
    assert all(file.file_descriptor_response.file_descriptor_proto for file in files)


def test_channelz_shows_the_server(museum: RunningPlatform, halls: Api, hall: str) -> None:
    halls.call("GetHall", name=hall)
    with grpc.insecure_channel(museum.address) as channel:
        stub = channelz_pb2_grpc.ChannelzStub(channel)
        servers = stub.GetServers(channelz_pb2.GetServersRequest(start_server_id=0), timeout=10).server
    assert any(server.data.calls_started > 0 for server in servers)


def test_a_server_that_stops_says_so_and_finishes_what_is_running(
    museum_database: Database, museum_model: Model, hall: str, caplog: pytest.LogCaptureFixture
) -> None:
    hold = Hold()
    with ThreadPoolExecutor(2) as threads, another(museum_database, registry(hold), drain_s=30.0) as running:
        with Caller(running.address) as caller, grpc.insecure_channel(running.address) as channel:
            held = threads.submit(Api(caller, museum_model).call, "HoldHall", name=hall)
            assert hold.entered.wait(10)
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
            assert next(watch).status == SERVING
            stopping = threads.submit(running.__exit__)
            assert next(watch).status == NOT_SERVING
            watch.cancel()
            with Caller(running.address) as late:
                Api(late, museum_model).refused(Code.UNAVAILABLE, "GetHall", name=hall)
            assert not held.done()
            running.run(hold.let_go())
            assert held.result(10).name == hall
        stopping.result(20)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("reply", "given"),
    [(0, "int"), ({}, "dict"), (None, "NoneType"), (True, "bool"), ("hall", "museum.v1.HoldHallRequest")],
)
def test_a_function_that_returns_something_else_fails_with_its_place(
    museum_database: Database, caplog: pytest.LogCaptureFixture, reply: Any, given: str
) -> None:
    functions = registry()

    async def hold(request: Any, context: Context) -> Any:
        return request if reply == "hall" else reply

    functions.functions[f"{SERVICE}.HoldHall"] = hold
    with another(museum_database, functions) as running, Caller(running.address) as caller:
        Api(caller, running.platform.model).refused(Code.INTERNAL, "HoldHall", name="halls/a")
    assert (
        f"test_calls.py:{hold.__code__.co_firstlineno}) returned {given}; it returns museum.v1.Hall"
        in caplog.text
    )


def test_a_stream_that_yields_something_else_fails_with_its_place(
    museum_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    functions = registry()

    async def watch(request: Any, context: Context) -> AsyncIterator[Any]:
        yield context.new("museum.v1.Hall", name=request.name)
        yield request

    functions.functions[f"{SERVICE}.WatchHall"] = watch
    with another(museum_database, functions) as running, Caller(running.address) as caller:
        method = caller.method(f"{SERVICE}/WatchHall")
        request = caller.filled(caller.new(method.input_type), {"name": "halls/a"})
        rpc = caller._channel.unary_stream(f"/{SERVICE}/WatchHall")
        replies = rpc(request.SerializeToString(), timeout=5)
        assert len([next(replies)]) == 1
        with pytest.raises(grpc.RpcError) as caught:
            next(replies)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "returned museum.v1.WatchHallRequest; it returns museum.v1.Hall" in caplog.text
