"""Rules 135 to 141: every error says what is wrong to programs and to people, and nothing of the inside."""

from __future__ import annotations

import logging
import re
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from tests.integration.service.api import Api, Refusal, new_id
from tests.integration.service.museum import STRANGER

from entresol.errors import Code

INSIDE = re.compile(
    r"SELECT|INSERT|public\.|relation|constraint|_fkey|_pkey|asyncpg|redis|Traceback|/entresol/"
)


@pytest.fixture
def refusals(halls: Api) -> list[Refusal]:
    """Give an error of every kind that a caller can cause."""
    hall = halls.call(
        "CreateHall", hall={"title": "Hall", "badge": (badge := new_id("b"))}, hall_id=new_id("h")
    )
    taken = hall.name.removeprefix("halls/")
    guard = halls.call("CreateGuide", guide={"title": "Gus"}).name
    vase = {"parent": hall.name, "exhibit": {"title": "Vase", "guard": guard}, "exhibit_id": "vase"}
    halls.call("CreateExhibit", **vase)
    given = {"name": f"{hall.name}/exhibits/vase"}
    halls.call("UpdateExhibit", exhibit={**given, "giver": "Kim"})
    return [
        halls.refused(Code.INVALID_ARGUMENT, "GetHall", name="nonsense"),
        halls.refused(Code.INVALID_ARGUMENT, "ListHalls", filter="nothing = 1", order_by="nothing"),
        halls.refused(Code.INVALID_ARGUMENT, "ListHalls", page_token="nothing"),
        halls.refused(Code.INVALID_ARGUMENT, "UpdateHall", hall={"name": hall.name}, update_mask="nothing"),
        halls.refused(
            Code.INVALID_ARGUMENT, "UpdateExhibit", exhibit={**given, "price": 1}, update_mask="price"
        ),
        halls.refused(Code.PERMISSION_DENIED, "GetHall", STRANGER, name=hall.name),
        halls.refused(Code.NOT_FOUND, "GetHall", name="halls/nothing"),
        halls.refused(Code.NOT_FOUND, "CreateExhibit", **{**vase, "parent": "halls/nothing"}),
        halls.refused(Code.ALREADY_EXISTS, "CreateHall", hall={"title": "t"}, hall_id=taken),
        halls.refused(Code.ALREADY_EXISTS, "CreateHall", hall={"title": "t", "badge": badge}),
        halls.refused(Code.ABORTED, "DeleteHall", name=hall.name, etag='"0"'),
        halls.refused(Code.FAILED_PRECONDITION, "DeleteHall", name=hall.name),
        halls.refused(Code.FAILED_PRECONDITION, "DeleteGuide", name=guard),
        halls.refused(
            Code.FAILED_PRECONDITION,
            "CreateExhibit",
            **{**vase, "exhibit": {"title": "Vase", "guard": "guides/nobody"}, "exhibit_id": "urn"},
        ),
        halls.refused(Code.INTERNAL, "BreakHall", name=hall.name),
    ]


def test_rule_135_every_error_has_one_well_formed_error_info(refusals: list[Refusal]) -> None:
    for refusal in refusals:
        assert refusal.info.domain == "museum.v1.MuseumService"
        assert re.fullmatch(r"[A-Z][A-Z0-9_]{1,61}[A-Z0-9]", refusal.info.reason)
        assert all(re.fullmatch(r"[a-z][a-zA-Z0-9_-]{1,63}", key) for key in refusal.info.metadata)


def test_rule_136_the_names_in_a_message_are_in_the_metadata_too(refusals: list[Refusal]) -> None:
    for refusal in refusals:
        shown = " ".join([*refusal.info.metadata.values(), *refusal_fields(refusal)])
        for name in re.findall(r"(?:halls|guides|exhibits)/[\w/-]+|museum\.v1\.\w+\.\w+", refusal.message):
            assert name in shown, refusal.message


def refusal_fields(refusal: Refusal) -> list[str]:
    violations = [v for bad in refusal.details(error_details_pb2.BadRequest) for v in bad.field_violations]
    return [text for violation in violations for text in (violation.field, violation.description)]


def test_rule_137_no_detail_comes_twice_and_violations_have_paths(refusals: list[Refusal]) -> None:
    for refusal in refusals:
        kinds = [detail.type_url for detail in refusal.status.details]
        assert len(kinds) == len(set(kinds))
        if refusal.status.code == Code.INVALID_ARGUMENT:
            assert all(refusal.violations)
            assert all(refusal.violations.values())


def test_rule_138_the_same_error_has_the_same_reason(halls: Api, refusals: list[Refusal]) -> None:
    by_code: dict[int, set[str]] = {}
    for refusal in refusals:
        by_code.setdefault(refusal.status.code, set()).add(refusal.info.reason)
    assert by_code[Code.NOT_FOUND] == {"RESOURCE_NOT_FOUND"}
    assert by_code[Code.ALREADY_EXISTS] == {"RESOURCE_ALREADY_EXISTS"}
    assert by_code[Code.FAILED_PRECONDITION] == {"RESOURCE_HAS_CHILDREN", "REFERENCE_NOT_FOUND"}
    assert by_code[Code.INVALID_ARGUMENT] == {"INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"}


def test_rule_139_no_error_shows_the_inside(refusals: list[Refusal]) -> None:
    for refusal in refusals:
        assert not INSIDE.search(str(refusal.status)), refusal.status


def test_rule_141_a_mistake_in_code_is_internal_and_its_cause_is_only_in_the_log(
    halls: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "entresol.service.status"):
        refusal = halls.refused(Code.INTERNAL, "BreakHall", name="halls/secret")
    assert "12345" not in str(refusal.status)
    assert "secret" not in str(refusal.status)
    assert refusal.info.metadata["trace"] in caplog.text
    assert "the password of halls/secret is 12345" in caplog.text


def test_rule_25_all_violations_are_told_at_once(api: Api) -> None:
    story = {
        "title": "x" * 301,
        "url": "x" * 4097,
        "author": "nobody",
        "tags": ["", "x" * 64],
        "postTime": "2020-01-01T00:00:00.000000001Z",
        "text": "nul \x00",
    }
    refusal = api.refused(Code.INVALID_ARGUMENT, "CreateStory", story=story, story_id="No", request_id="no")
    assert set(refusal.violations) == {
        "story.title",
        "story.url",
        "story.author",
        "story.tags[0]",
        "story.tags[1]",
        "story.post_time",
        "story.text",
        "story_id",
        "request_id",
    }
    assert "(and 8 more)" in refusal.message


def test_very_many_violations_still_fit_into_an_answer(api: Api) -> None:
    wrong = {"story": {"title": "", "author": "nobody"}, "story_id": "No", "request_id": "no"}
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchCreateStories", requests=[wrong] * 1000)
    assert refusal.status.ByteSize() < 6000
    assert "(and 99 more)" in refusal.message
    assert len(refusal.violations) >= 20


def test_an_error_says_little_of_a_very_long_value(api: Api) -> None:
    long = {"story": {"title": "t", "author": "users/" + "\N{BICYCLE}" * 10_000}}
    refusal = api.refused(Code.INVALID_ARGUMENT, "CreateStory", **long)
    assert set(refusal.violations) == {"story.author"}
    refusal = api.refused(Code.INVALID_ARGUMENT, "ListStories", filter='title = "' + "\N{BICYCLE}" * 100_000)
    assert refusal.status.ByteSize() < 6000
    refusal = api.refused(Code.INVALID_ARGUMENT, "ListStories", order_by="\N{BICYCLE}" * 1000)
    assert refusal.status.ByteSize() < 6000


@pytest.mark.parametrize("path", ["/museum.v1.MuseumService/Nothing", "/nothing.v1.Nothing/Get", "/Get"])
def test_rule_135_what_is_not_served_is_unimplemented(museum: Any, path: str) -> None:
    with grpc.insecure_channel(museum.address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path)(b"", timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    packed = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    info = Refusal(status_pb2.Status.FromString(packed)).info
    assert (info.reason, info.metadata["method"]) == ("METHOD_NOT_FOUND", path)
