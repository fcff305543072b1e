"""What a balancer may send again, by the protos alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.transport.wire import PROTOS, SERVICE

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import Method, MethodKind, Model
from entresol.topology.methods import Paths
from entresol.transport.standard import Standard

ROOT = Path(__file__).resolve().parents[3]
STORIES = "/stories.v1.StoryService"


@pytest.fixture(scope="session")
def stories() -> Model:
    return load(compile_protos(ROOT / "protos"))


def test_every_method_is_a_read_a_stream_a_write_with_a_key_or_one_that_is_sent_once(stories: Model) -> None:
    paths = Paths.of(stories)
    kinds = {MethodKind.GET, MethodKind.BATCH_GET, MethodKind.LIST}
    keyed = [path for group in paths.keyed.values() for path in group]
    assert {path for path, method in stories.methods.items() if method.kind in kinds} <= {*paths.repeatable}
    assert not set(paths.repeatable) & {*keyed, *paths.streams}
    writes = [method for method in stories.methods.values() if method.path not in paths.repeatable]
    assert {method.path for method in writes if "request_id" in _fields(method)} == {*keyed}


def _fields(method: Method) -> Iterator[str]:
    return iter(method.input.fields_by_name)


def test_a_custom_method_is_a_read_only_where_its_proto_says_so(stories: Model) -> None:
    paths = Paths.of(stories)
    assert "/stories.v1.SuggestionService/SuggestStories" in paths.repeatable
    assert f"{STORIES}/VoteStory" not in paths.repeatable


def test_a_key_is_looked_for_in_the_field_that_holds_it(stories: Model) -> None:
    keyed = Paths.of(stories).keyed
    assert f"{STORIES}/CreateStory" in keyed[3]
    assert f"{STORIES}/UpdateStory" in keyed[4]
    assert f"{STORIES}/DeleteStory" in keyed[5]


def test_streams_of_either_side_are_never_sent_again() -> None:
    paths = Paths.of(load(compile_protos(PROTOS)))
    streaming = {path for path in paths.streams if path.startswith(f"/{SERVICE}/")}
    assert streaming
    assert not streaming & {*paths.repeatable, *(path for group in paths.keyed.values() for path in group)}


def test_what_every_server_answers_beside_the_model_is_known(stories: Model) -> None:
    pool = Standard(stories).pool
    for path in Paths.of(stories).streams + Paths.of(stories).repeatable:
        service, _, name = path.strip("/").rpartition("/")
        method = pool.FindServiceByName(service).methods_by_name[name]
        assert (path in Paths.of(stories).streams) is (method.server_streaming or method.client_streaming)
