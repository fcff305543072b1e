"""`entresol call`: any method of a running server, from a shell."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from tests.integration.cli.conftest import ROOT

from entresol.cli.main import entresol
from entresol.config import Settings
from entresol.service.call import Call
from entresol.service.registry import registry
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Databases, Migrate

STORIES = "stories.v1.StoryService"


def no_strangers(_request: Any, call: Call) -> bool:
    return call.metadata.get("x-role") != "stranger" and call.binary.get("x-role-bin") != b"stranger"


@pytest.fixture(scope="module")
def address(databases: Databases, migrate_database: Migrate) -> Iterator[str]:
    database = asyncio.run(databases.create(migrate_database, replicated=False))
    settings = Settings.load(
        {},
        protos=str(ROOT / "protos"),
        functions=str(ROOT / "protos" / "stories" / "functions.py"),
        listen="127.0.0.1:0",
        database_write=database.write_url,
    )
    with RunningPlatform(settings, functions=dataclasses.replace(registry, policy=no_strangers)) as running:
        yield running.address
    asyncio.run(databases.drop(database))


@pytest.fixture(scope="module")
def call(address: str) -> Any:
    def run(*arguments: str, fails: bool = False) -> Result:
        result = CliRunner().invoke(
            entresol, ["call", "--address", address, *arguments], standalone_mode=False
        )
        assert (result.exception is not None) is fails, result.output + repr(result.exception)
        return result

    return run


@pytest.fixture(scope="module")
def story(call: Any) -> str:
    user = json.loads(call("stories.v1.UserService/CreateUser", "user.display_name=Ann", "--json").stdout)
    fields = ("story.title=One", f"story.author={user['reply']['name']}", "story.tags=a", "story.tags=b")
    made = call(f"{STORIES}/CreateStory", *fields, 'story.annotations={"k": "v"}', "--json")
    return str(json.loads(made.stdout)["reply"]["name"])


def test_the_reply_is_json_and_who_answered_is_told_beside_it(call: Any, story: str) -> None:
    result = call(f"{STORIES}/GetStory", f"name={story}")
    reply = json.loads(result.stdout)
    assert (reply["title"], reply["tags"], reply["annotations"]) == ("One", ["a", "b"], {"k": "v"})
    assert result.stderr.startswith("answered by primary in ")
    facts = json.loads(call(f"{STORIES}/GetStory", f"name={story}", "--json").stdout)
    assert facts["reply"] == reply
    assert (facts["answered_by"], facts["session"]) == ("primary", "")
    assert facts["duration_ms"] > 0


def test_options_become_metadata(call: Any, story: str) -> None:
    masked = call(f"{STORIES}/GetStory", f"name={story}", "--read-mask", "title")
    assert json.loads(masked.stdout) == {"title": "One"}
    written = call(
        f"{STORIES}/UpdateStory", f"story.name={story}", "story.score=3", "update_mask=score", "--json"
    )
    session = json.loads(written.stdout)["session"]
    assert session
    read = call(f"{STORIES}/GetStory", f"name={story}", "--session", session, "--consistency", "strong")
    assert json.loads(read.stdout)["score"] == 3


@pytest.mark.parametrize(
    "metadata", [["X-Role=stranger"], ["x-role-bin=c3RyYW5nZXI"], ["a=b=c", "x-role=stranger"]], ids=" ".join
)
def test_metadata_is_sent_as_it_is_given(call: Any, story: str, metadata: list[str]) -> None:
    options = [part for text in metadata for part in ("--metadata", text)]
    refusal = call(f"{STORIES}/GetStory", f"name={story}", *options, fails=True).exception
    assert "PERMISSION_DENIED" in refusal.message
    options[-1] += "s"
    call(f"{STORIES}/GetStory", f"name={story}", *options)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (["stranger"], "'stranger': write NAME=VALUE"),
        (["=stranger"], "'=stranger': write NAME=VALUE"),
        (["x role=stranger"], "'x role=stranger': write NAME=VALUE"),
        (["x-role=\u00e9"], "x-role: '\u00e9' is not printable ASCII"),
        (["x-role-bin=*"], "x-role-bin: '*' is not base64"),
        (["x-role=a", "X-Role=b"], "x-role is there twice"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused(call: Any, metadata: list[str], says: str) -> None:
    options = [part for text in metadata for part in ("--metadata", text)]
    error = call(f"{STORIES}/GetStory", "name=stories/a", *options, fails=True).exception
    assert isinstance(error, click.BadParameter)
    assert says in error.message


def test_fields_are_written_as_their_types_are_read(call: Any, story: str) -> None:
    fields = ["story.score=-5", "story.kind=KIND_ASK", "story.post_time=2016-08-04T11:52:00Z", "story.tags=c"]
    mask = "update_mask=score,kind,post_time,tags"
    reply = json.loads(call(f"{STORIES}/UpdateStory", f"story.name={story}", *fields, mask).stdout)
    assert (reply["score"], reply["kind"], reply["tags"]) == (-5, "KIND_ASK", ["c"])
    assert reply["post_time"] == "2016-08-04T11:52:00Z"
    requests = [
        f'requests={{"story": {{"title": "{title}", "author": "{reply["author"]}"}}}}' for title in "xy"
    ]
    batch = json.loads(call(f"{STORIES}/BatchCreateStories", *requests).stdout)["stories"]
    assert [made["title"] for made in batch] == ["x", "y"]
    names = [f"names={made['name']}" for made in batch]
    assert json.loads(call(f"{STORIES}/BatchGetStories", *names).stdout)["stories"] == batch
    tried = call(f"{STORIES}/DeleteStory", f"name={batch[0]['name']}", "validate_only=true")
    assert json.loads(tried.stdout)["delete_time"]


WRONG = [
    (["stories.v1.Nothing/Get"], "the server has no service 'stories.v1.Nothing'"),
    ([f"{STORIES}/Nothing"], "has no method 'Nothing'; it has GetStory"),
    ([f"{STORIES}/GetStory", "nothing=1"], "GetStoryRequest has no field 'nothing'; it has name"),
    ([f"{STORIES}/GetStory", "name"], "name: write field=value"),
    ([f"{STORIES}/GetStory", "name.x=1"], "name has no fields of its own"),
    ([f"{STORIES}/CreateStory", "story.tags.x=1"], "tags has no fields of its own"),
    ([f"{STORIES}/CreateStory", "story.score=many"], "story.score"),
    ([f"{STORIES}/CreateStory", "story.kind=KIND_NONE"], "story.kind"),
    ([f"{STORIES}/CreateStory", "validate_only=maybe"], "validate_only"),
    ([f"{STORIES}/CreateStory", "story={not json"], "story: "),
    ([f"{STORIES}/GetStory", "name=stories/nothing"], "NOT_FOUND: stories/nothing does not exist"),
    ([f"{STORIES}/GetStory"], "INVALID_ARGUMENT: name: is required"),
    ([f"{STORIES}/GetStory", "name=stories/a", "--consistency", "perfect"], "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[" ".join(arguments) for arguments, _ in WRONG])
def test_what_is_wrong_is_told_in_one_sentence(call: Any, arguments: list[str], says: str) -> None:
    error = call(*arguments, fails=True).exception
    message = getattr(error, "message", "")
    assert says in message
    assert "\n" not in message
