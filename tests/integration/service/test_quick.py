"""The quick way of reads: what it tells is what the ordinary way tells, and what it does not know goes that way."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id
from tests.integration.service.conftest import database_of, settings_of

from entresol.codegen.protos import compile_protos
from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.errors import Code
from entresol.schema.load import load
from entresol.schema.model import Consistency, MethodKind, StaleReads
from entresol.service import quick as service_quick
from entresol.service.call import Call
from entresol.service.links import trace
from entresol.service.ops import provided
from entresol.service.quick import quick
from entresol.service.registry import Registry
from entresol.service.table import build
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate
from entresol.transport.caller import Caller
from entresol.transport.http2 import connection

ROOT = Path(__file__).resolve().parents[3]
WISH = {"entresol-consistency": "bounded"}  # what a caller gets who says nothing, but not quickly
GET = "/stories.v1.UserService/GetUser"


@pytest.fixture(scope="module")
def database(databases: Databases, migrate_database: Migrate) -> Iterator[Database]:
    with database_of(databases, migrate_database) as database:
        yield database


def settings(database: Database, transport: str, near_age_s: float) -> Settings:
    functions = str(ROOT / "protos" / "stories" / "functions.py")
    plain = settings_of(database, f"quick-{uuid.uuid4().hex[:8]}", ROOT / "protos", functions)
    return replace(
        plain, transport=transport, near_age_max_s=near_age_s, relay_slot=plain.cache_prefix.replace("-", "_")
    )


@pytest.fixture(scope="module", params=[("http2", 60.0), ("http2", 0.0), ("grpcio", 60.0)], ids=str)
def running(request: pytest.FixtureRequest, database: Database) -> Iterator[RunningPlatform]:
    transport, near_age_s = request.param
    with RunningPlatform(settings(database, transport, near_age_s)) as running:
        yield running


@pytest.fixture
def api(running: RunningPlatform) -> Iterator[Api]:
    with Caller(running.address) as caller:
        yield Api(caller, running.platform.model)


def user(api: Api, name: str = "Ann") -> str:
    """Create a user and return the name; from then on nothing is sent but the request."""
    made = str(api.call("CreateUser", user={"display_name": name}, user_id=new_id("quick")).name)
    api.session = ""
    return made


def plain(api: Api, method: str, /, **fields: Any) -> Any:
    """Call as somebody who wishes for nothing."""
    api.session = ""
    return api.call(method, **fields)


async def told(api: Api, wanted: set[str], method: str, /, **fields: Any) -> Any:
    """Return the reply once one of those has answered."""
    replies: list[Any] = []

    async def is_told() -> bool:
        replies.append(plain(api, method, **fields))
        return api.answered_by in wanted

    assert await until(is_told, 10.0)
    return replies[-1]


async def test_what_is_quickly_told_is_what_is_told_at_length(running: RunningPlatform, api: Api) -> None:
    name = user(api)
    wanted = {"near"} if running.settings.near_age_max_s else {"cache"}
    quickly = await told(api, wanted, "GetUser", name=name)
    assert quickly == api.call("GetUser", WISH, name=name)
    together = [name, user(api), user(api)]
    for one in together:
        await told(api, wanted, "GetUser", name=one)
    stories = await told(api, {"near", "cache"}, "BatchGetUsers", names=together)
    assert stories == api.call("BatchGetUsers", WISH, names=together)
    assert [one.name for one in stories.users] == together


async def test_who_has_written_is_told_what_was_written(api: Api) -> None:
    name = user(api)
    await told(api, {"near", "cache"}, "GetUser", name=name)
    for number in range(20):
        api.session = ""
        api.call(
            "UpdateUser", user={"name": name, "display_name": f"Ann {number}"}, update_mask="display_name"
        )
        assert plain(api, "GetUser", name=name).display_name == f"Ann {number}"
        assert plain(api, "BatchGetUsers", names=[name]).users[0].display_name == f"Ann {number}"


def test_there_is_no_such_record_each_time(api: Api) -> None:
    for _ in range(3):
        api.session = ""
        assert api.refused(Code.NOT_FOUND, "GetUser", name="users/nobody").info.reason == "RESOURCE_NOT_FOUND"


def test_a_request_that_is_not_good_is_refused_each_time(api: Api) -> None:
    for _ in range(2):
        api.session = ""
        assert "name" in api.refused(Code.INVALID_ARGUMENT, "GetUser", name="nobody/1").violations
        assert "name" in api.refused(Code.INVALID_ARGUMENT, "GetUser").violations
        assert (
            "names[1]"
            in api.refused(Code.INVALID_ARGUMENT, "BatchGetUsers", names=["users/a", "stories/a"]).violations
        )


async def test_a_request_with_unknown_fields_is_refused_though_all_is_here(api: Api) -> None:
    name = user(api)
    await told(api, {"near", "cache"}, "GetUser", name=name)
    for method, fields in (("GetUser", {"name": name}), ("BatchGetUsers", {"names": [name]})):
        request = api.request(method, fields)
        request.MergeFromString(b"\xf8\x7f\x01")  # field 2047
        api.refused_to_send(Code.INVALID_ARGUMENT, method, request)


async def test_a_batch_lacks_one_and_is_refused(api: Api) -> None:
    name = user(api)
    await told(api, {"near", "cache"}, "GetUser", name=name)
    api.refused(Code.NOT_FOUND, "BatchGetUsers", names=[name, "users/nobody"])


async def test_quick_calls_are_measured(
    running: RunningPlatform, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = user(api)
    await told(api, {"near", "cache"}, "GetUser", name=name)
    seen: list[Any] = []

    class Histogram:
        def record(self, value: float, attributes: Any, _context: Any = None) -> None:
            seen.append(attributes[trace.telemetry.METHOD])

    monkeypatch.setattr(trace.telemetry, "CALL_DURATION", Histogram())
    plain(api, "GetUser", name=name)
    assert seen == ["GetUser"]


async def test_who_has_a_token_is_told_quickly_what_it_may_be_shown(
    running: RunningPlatform, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = user(api)
    wanted = {"near"} if running.settings.near_age_max_s else {"cache"}
    await told(api, wanted, "GetUser", name=name)
    api.call("UpdateUser", user={"name": name, "display_name": "Eve"}, update_mask="display_name")
    token = api.session
    assert token
    noted: list[str] = []
    monkeypatch.setattr(
        service_quick, "note", lambda method, _: noted.append(method.full_name.rpartition(".")[2])
    )

    async def is_told_quickly() -> bool:
        noted.clear()
        api.session = token
        assert api.call("GetUser", name=name).display_name == "Eve"
        return api.answered_by in wanted and noted == ["GetUser"] and "entresol-session" not in api.trailing

    assert await until(is_told_quickly, 10.0)
    api.session = "rubbish"
    api.refused(Code.INVALID_ARGUMENT, "GetUser", name=name)


@pytest.mark.parametrize("running", [("http2", 60.0)], ids=str, indirect=True)
async def test_what_copies_answer_needs_no_stream(
    running: RunningPlatform, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = user(api)
    await told(api, {"near"}, "GetUser", name=name)
    begun: list[str] = []

    class Counted(connection.Stream):
        def begin(self) -> None:
            begun.append(self.route.method.path)
            super().begin()

    monkeypatch.setattr(connection, "Stream", Counted)

    async def is_streamless() -> bool:
        begun.clear()
        plain(api, "GetUser", name=name)
        return api.answered_by == "near" and not begun

    assert await until(is_streamless, 10.0)
    api.call("GetUser", WISH, name=name)
    assert begun == [GET]


async def test_without_redis_reads_go_the_ordinary_way(database: Database) -> None:
    away = replace(settings(database, "http2", 1.0), cache_url="redis://127.0.0.1:1")
    with RunningPlatform(away, relay=False) as running, Caller(running.address) as caller:
        api = Api(caller, running.platform.model)
        name = user(api)
        assert plain(api, "GetUser", name=name).name == name
        assert api.answered_by in ("primary", "replica")


class Asked:
    """A policy that need not be awaited: who says `role: stranger` may not call, what he says else is remembered."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, Call]] = []

    def __call__(self, request: Any, call: Call) -> Any:
        self.calls.append((request, call))
        assert call.remaining_s() > 0
        match call.metadata.get("role", ""):
            case "stranger":
                return False
            case "slow":
                return _yes()
            case "broken":
                raise ValueError("the policy is broken")
            case "noted":
                call.trailing["noted"] = "yes"
        return True


class Awaited:
    async def __call__(self, *_: Any) -> bool:
        raise AssertionError("nobody calls this")


def _registry(policy: Any = None) -> Registry:
    model = load(compile_protos(ROOT / "protos"))
    custom = [
        method
        for method in model.methods.values()
        if method.kind is MethodKind.CUSTOM and method.full_name.startswith("stories.")
    ]
    functions = {method.full_name: _never for method in custom if method.job is None}
    return Registry(functions, policy, jobs={method.full_name: _never for method in custom if method.job})


async def _yes() -> bool:
    await asyncio.sleep(0)
    return True


@pytest.mark.parametrize("transport", ["http2", "grpcio"])
async def test_a_policy_that_need_not_be_awaited_is_asked_each_time_and_hits_stay_quick(
    database: Database, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, noted = Asked(), list[str]()
    functions = _registry(asked)
    monkeypatch.setattr(service_quick, "note", lambda method, _: noted.append(method.full_name))
    with (
        RunningPlatform(settings(database, transport, 60.0), functions=functions) as running,
        Caller(running.address) as caller,
    ):
        api = Api(caller, running.platform.model)
        name = user(api)
        for method, fields in (("GetUser", {"name": name}), ("BatchGetUsers", {"names": [name]})):
            wanted = await told(api, {"near"}, method, **fields)
            for role in ("", "friend", "slow", "noted"):
                noted.clear()
                asked.calls.clear()
                api.session = ""
                assert api.call(method, {"role": role}, **fields) == wanted
                assert bool(noted) is (role in ("", "friend"))
                assert {request.DESCRIPTOR.name for request, _ in asked.calls} == {f"{method}Request"}
                assert (api.trailing.get("noted") == "yes") is (role == "noted")
            asked.calls.clear()
            api.refused(Code.PERMISSION_DENIED, method, {"role": "stranger"}, **fields)
            assert len(asked.calls) == 2
            api.refused(Code.INTERNAL, method, {"role": "broken"}, **fields)
        noted.clear()
        api.refused(Code.PERMISSION_DENIED, "GetUser", {"role": "stranger"}, name="users/nobody")
        api.refused(Code.PERMISSION_DENIED, "GetUser", {"role": "stranger"}, name="nobody/1")
        api.refused(Code.PERMISSION_DENIED, "BatchGetUsers", {"role": "stranger"}, names=["nobody/1"])
        api.refused(Code.INVALID_ARGUMENT, "BatchGetUsers", {"role": "friend"}, names=["nobody/1"])
        assert not noted


def test_only_what_promises_no_more_than_a_hit_has_a_quick_way(running: RunningPlatform) -> None:
    records = running.platform.records
    model, settings = running.platform.model, running.settings
    own = provided(model, running.platform.pools)
    voting = _registry()
    table = build(model, records, voting, settings, provided=own)
    assert table[GET].quick is not None
    broken = replace(table[GET].quick, read=_broken)
    assert broken.look(b"", "", _broken) is None  # what is broken is told by the ordinary way
    for policy in (_never, Awaited()):
        awaited = _registry(policy)
        assert build(model, records, awaited, settings, provided=own)[GET].quick is None
    method = model.methods[GET]
    assert method.resource is not None
    cache = method.resource.cache
    for changed in (
        replace(method, consistency=Consistency.STRONG),
        replace(method, consistency=Consistency.SESSION),
        replace(method, resource=replace(method.resource, consistency=Consistency.STRONG)),
        replace(method, resource=replace(method.resource, cache=replace(cache, enabled=False))),
        replace(
            method,
            resource=replace(
                method.resource,
                cache=replace(cache, staleness_s_max=1.0, stale_reads=StaleReads.REFUSE),
            ),
        ),
    ):
        assert quick(changed, records, _never, None, batch_size_max=10) is None


def _broken(*_: Any) -> Any:
    raise RuntimeError("broken")


async def _never(*_: Any) -> Any:
    raise AssertionError("nobody calls this")
