"""A policy: what it may look at, what it lets on, and that a mistake in it lets nothing on and is found in the log."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from tests.integration.service.api import Api
from tests.integration.service.conftest import database_of, settings_of

import entresol
from entresol.codegen.protos import compile_protos
from entresol.errors import Code
from entresol.schema.load import load
from entresol.schema.model import MethodKind
from entresol.service.registry import registry
from entresol.service.status import CallFailedError
from entresol.testing.conformance import Case, cases
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate
from entresol.transport.caller import Caller

ROOT = Path(__file__).resolve().parents[3]
MODEL = load(compile_protos(ROOT / "protos"))
# Comments have a parent, and refer to others: whatever a case needs first is made with the metadata, too.
CASES = [case for case in cases(MODEL) if case.resource.message == "stories.v1.Comment"]
CARD = {"x-card": "editor"}


@dataclass
class Door:
    """Lets everybody read, and those write who have a card; remembers of which calls it was asked."""

    calls: list[entresol.Call] = field(default_factory=list)

    def __call__(self, _request: Any, call: entresol.Call) -> bool:
        self.calls.append(call)
        return call.method.safe or call.metadata.get("x-card") == "editor"


@pytest.fixture(scope="module")
def database(databases: Databases, migrate_database: Migrate) -> Iterator[Database]:
    with database_of(databases, migrate_database) as database:
        yield database


def serve(database: Database, name: str, policy: Callable[[Any, Any], Any]) -> RunningPlatform:
    functions = str(ROOT / "protos" / "stories" / "functions.py")
    settings = settings_of(database, name, ROOT / "protos", functions)
    return RunningPlatform(settings, functions=dataclasses.replace(registry, policy=policy))


@pytest.fixture(scope="module")
def guarded(database: Database) -> Iterator[tuple[str, Door]]:
    """Give the address of a platform, and its policy."""
    door = Door()
    with serve(database, "guarded", door) as running:
        yield running.address, door


@pytest.fixture
def api(guarded: tuple[str, Door]) -> Iterator[Api]:
    with Caller(guarded[0]) as caller:
        yield Api(caller, MODEL)


@pytest.fixture(scope="module")
def user(guarded: tuple[str, Door]) -> str:
    with Caller(guarded[0]) as caller:
        return str(Api(caller, MODEL).call("CreateUser", CARD, user={"display_name": "Old"}).name)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_conformance_holds_under_a_policy_whose_metadata_it_is_given(
    case: Case, guarded: tuple[str, Door]
) -> None:
    case.run(guarded[0], CARD)


def test_conformance_is_refused_without_that_metadata(guarded: tuple[str, Door]) -> None:
    with pytest.raises(CallFailedError, match="an anonymous caller may not call"):
        CASES[0].run(guarded[0])


async def answer_with_a_word(_request: Any, _call: Any) -> Any:
    return "no"


async def forget_to_answer(_request: Any, _call: Any) -> Any:
    """Return nothing."""


async def forget_to_wait(request: Any, call: Any) -> Any:
    return answer_with_a_word(request, call)


def look_for_a_wrong_name(_request: Any, call: Any) -> Any:
    return call.method.name == "GetUser"


async def look_for_what_was_not_sent(_request: Any, call: Any) -> Any:
    return call.metadata["x-card"] == "editor"


MISTAKES = [
    answer_with_a_word,
    forget_to_answer,
    forget_to_wait,
    look_for_a_wrong_name,
    look_for_what_was_not_sent,
]


@pytest.mark.parametrize("mistaken", MISTAKES, ids=lambda mistaken: mistaken.__name__)
def test_a_mistake_in_a_policy_lets_nothing_on_and_its_place_is_in_the_log(
    database: Database,
    user: str,
    mistaken: Callable[[Any, Any], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    change = {"user": {"name": user, "display_name": "New"}, "update_mask": "display_name"}
    _, line = inspect.getsourcelines(mistaken)
    with serve(database, "mistaken", mistaken) as running, Caller(running.address) as caller:
        api = Api(caller, MODEL)
        for method, fields in (("GetUser", {"name": user}), ("UpdateUser", change)):
            caplog.clear()
            refusal = api.refused(Code.INTERNAL, method, **fields)
            assert mistaken.__name__ not in refusal.message
            assert mistaken.__name__ in caplog.text
            # Where it begins, or in a traceback the line below.
            assert re.search(rf"{Path(__file__).name}\W+(line )?({line}|{line + 1})\b", caplog.text)
    with serve(database, "mended", Door()) as running, Caller(running.address) as caller:
        assert Api(caller, MODEL).call("GetUser", name=user).display_name == "Old"


def test_a_mistake_in_a_policy_lets_no_hit_on(
    api: Api, guarded: tuple[str, Door], user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.read_until_cached("GetUser", name=user)
    monkeypatch.setattr(Door, "__call__", lambda _door, _request, _call: "yes")
    api.refused(Code.INTERNAL, "GetUser", name=user)
    api.refused(Code.INTERNAL, "BatchGetUsers", names=[user])


def test_a_policy_may_refuse_with_a_text_of_its_own(
    api: Api, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_door: Door, _request: Any, _call: Any) -> bool:
        raise entresol.PermissionDeniedError("closed on Mondays", metadata={"day": "Monday"})

    monkeypatch.setattr(Door, "__call__", closed)
    refusal = api.refused(Code.PERMISSION_DENIED, "GetUser", name=user)
    assert (refusal.message, refusal.info.metadata) == ("closed on Mondays", {"day": "Monday"})


def test_a_policy_has_what_the_readme_lists(api: Api, guarded: tuple[str, Door], user: str) -> None:
    text = (ROOT / "protos" / "README.md").read_text()
    listed = set(re.findall(r"^\| `call\.([\w.]+)` \|", text, re.MULTILINE))
    guarded[1].calls.clear()
    api.call("GetUser", name=user)
    api.refused(
        Code.NOT_FOUND,
        "VoteStory",
        CARD | {"x-key-bin": b"\x00\xff"},
        name="stories/nothing",
        voter=user,
        direction="DIRECTION_UP",
    )
    reads, votes = guarded[1].calls[0], guarded[1].calls[-1]
    told = {name: attrgetter(name)(votes) for name in listed}
    assert told.pop("metadata")["x-card"] == "editor"
    assert told == {
        "method.full_name": "stories.v1.StoryService.VoteStory",
        "method.kind": MethodKind.CUSTOM,
        "method.safe": False,
        "method.resource": None,
        "binary": {"x-key-bin": b"\x00\xff"},
        "caller": entresol.Caller("", {}),
    }
    assert (reads.method.kind, reads.method.safe) == (MethodKind.GET, True)
    assert reads.method.resource is not None
    assert reads.method.resource.message == "stories.v1.User"


def test_a_resource_that_is_misspelled_is_told_with_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"'stories\.v1\.Storry'; did you mean 'stories\.v1\.Story'\?"):
        MODEL.by_message["stories.v1.Storry"]
    with pytest.raises(KeyError, match=r"'x'; there are .*stories\.v1\.Story, .*stories\.v1\.User"):
        MODEL.by_message["x"]
    assert MODEL.by_message.get("stories.v1.Storry") is None
