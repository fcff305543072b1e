"""Rules 20 to 28 and 30: what holds for every request, in which order it is asked, and who sees what was written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.integration.service.api import TOKENS, Api, new_id
from tests.integration.service.museum import STRANGER

from entresol.errors import Code
from entresol.service.call import CONSISTENCY_KEY, SESSION_KEY
from entresol.testing.servers import Database

Lag = Callable[[], AbstractContextManager[None]]


def hall(halls: Api, **fields: object) -> Any:
    return halls.call("CreateHall", hall={"title": "Hall", **fields}, hall_id=new_id("hall"))


def test_rule_20_a_caller_is_checked_before_the_request(halls: Api) -> None:
    halls.refused(Code.PERMISSION_DENIED, "GetHall", STRANGER, name="not a name")
    halls.refused(Code.PERMISSION_DENIED, "ListHalls", STRANGER, filter="no_such_field = 1")
    halls.refused(Code.PERMISSION_DENIED, "CreateHall", STRANGER)


def test_rule_20_a_caller_is_checked_before_what_an_earlier_request_was_answered(halls: Api) -> None:
    request = {"hall": {"title": "Hall"}, "request_id": "6f1c0a52-5d8e-4b77-9c3a-0f2d4e6b8a10"}
    halls.call("CreateHall", **request)
    halls.refused(Code.PERMISSION_DENIED, "CreateHall", STRANGER, **request)


def test_rule_20_a_record_must_exist_before_its_etag_counts(halls: Api) -> None:
    wrong = {"name": "halls/nothing", "title": "Hall", "etag": '"no etag of ours"'}
    halls.refused(Code.NOT_FOUND, "UpdateHall", hall=wrong)
    halls.refused(Code.NOT_FOUND, "DeleteHall", name="halls/nothing", etag="no etag of ours")


def test_rule_20_an_etag_is_checked_before_the_state(halls: Api) -> None:
    record = hall(halls)
    exhibit(halls, record.name)
    halls.refused(Code.ABORTED, "DeleteHall", name=record.name, etag='"0000000000000000"')


def exhibit(halls: Api, parent: str, **fields: object) -> Any:
    request = {"exhibit": {"title": "Vase", **fields}, "exhibit_id": new_id("vase")}
    return halls.call("CreateExhibit", parent=parent, **request)


def test_rule_21_permission_is_denied_whether_or_not_the_record_exists(halls: Api) -> None:
    there = hall(halls).name
    refusals = [
        halls.refused(Code.PERMISSION_DENIED, "GetHall", STRANGER, name=name)
        for name in (there, "halls/nothing")
    ]
    assert refusals[0] == refusals[1]
    halls.refused(Code.NOT_FOUND, "GetHall", name="halls/nothing")


def test_rule_21_permission_is_asked_before_the_parent_is_looked_up(halls: Api) -> None:
    request = {"parent": "halls/nothing", "exhibit": {"title": "Vase"}, "exhibit_id": "vase"}
    halls.refused(Code.PERMISSION_DENIED, "CreateExhibit", STRANGER, **request)
    halls.refused(Code.NOT_FOUND, "CreateExhibit", **request)


def test_rule_22_what_only_the_server_sets_is_ignored_at_any_depth(halls: Api, api: Api, ann: str) -> None:
    made = api.call(
        "CreateStory",
        story={"title": "t", "author": ann, "uid": "mine", "createTime": "2001-01-01T00:00:00Z"},
    )
    assert made.uid != "mine"
    assert made.create_time.ToDatetime().year > 2001
    record = hall(
        halls, place={"wing": "east", "inspector": "me"}, exits={"a": {"inspector": "me", "floor": 1}}
    )
    assert record.place.wing == "east"
    assert not record.place.inspector
    assert not record.exits["a"].inspector


def test_rule_22_an_update_mask_may_name_what_only_the_server_sets(api: Api, ann: str) -> None:
    made = api.call("CreateStory", story={"title": "t", "author": ann})
    story = {"name": made.name, "title": "other", "uid": "mine", "createTime": "2001-01-01T00:00:00Z"}
    changed = api.call("UpdateStory", story=story, update_mask="uid,title,create_time")
    assert (changed.uid, changed.create_time, changed.title) == (made.uid, made.create_time, "other")


def test_rule_23_an_immutable_field_may_be_repeated_and_not_changed(api: Api, ann: str) -> None:
    made = api.call("CreateStory", story={"title": "t", "author": ann})
    same = {"name": made.name, "author": ann, "title": "other"}
    assert api.call("UpdateStory", story=same, update_mask="author,title").title == "other"
    other = {**same, "author": "users/somebody-else", "title": "third"}
    refusal = api.refused(Code.INVALID_ARGUMENT, "UpdateStory", story=other, update_mask="author,title")
    assert list(refusal.violations) == ["story.author"]
    assert api.call("GetStory", name=made.name).title == "other"


def test_rule_24_what_is_only_accepted_never_comes_back(halls: Api, museum_database: Database) -> None:
    record = hall(halls, alarmCode="1234", doors=[{"code": "a", "key": "secret"}])
    doors = {"name": record.name, "doors": [{"width": 3}]}
    changed = halls.call("UpdateHall", hall=doors, update_mask="doors.*.width")
    listed = halls.call("ListHalls", filter=f'name = "{record.name}"').halls[0]
    for reply in (record, changed, listed, halls.call("GetHall", name=record.name)):
        assert not reply.alarm_code
        assert [(door.code, door.key) for door in reply.doors] == [("a", "")]
    stored = asyncio.run(
        museum_database.psql(f"SELECT alarm_code, doors FROM halls WHERE name = '{record.name}'")
    )
    assert stored.startswith("1234|")
    assert "secret" in stored
    halls.refused(Code.INVALID_ARGUMENT, "ListHalls", filter='alarm_code = "1234"')


def test_rule_25_a_required_field_has_a_value(api: Api, ann: str) -> None:
    refusal = api.refused(Code.INVALID_ARGUMENT, "CreateStory", story={"kind": "KIND_ASK"})
    assert set(refusal.violations) == {"story.title", "story.author"}
    assert set(api.refused(Code.INVALID_ARGUMENT, "CreateStory").violations) == {"story"}


def test_rule_25_an_update_needs_only_what_its_mask_names(api: Api, ann: str) -> None:
    made = api.call("CreateStory", story={"title": "t", "author": ann})
    assert api.call("UpdateStory", story={"name": made.name, "score": 5}, update_mask="score").score == 5
    refusal = api.refused(
        Code.INVALID_ARGUMENT, "UpdateStory", story={"name": made.name}, update_mask="score,title"
    )
    assert list(refusal.violations) == ["story.title"]


def test_rule_26_lengths_count_code_points_and_not_bytes(api: Api, ann: str) -> None:
    assert api.call("CreateStory", story={"title": "\N{BICYCLE}" * 300, "author": ann})
    too_long = {"title": "\N{BICYCLE}" * 301, "author": ann}
    assert "story.title" in api.refused(Code.INVALID_ARGUMENT, "CreateStory", story=too_long).violations


def test_rule_27_a_write_is_read_back_while_every_replica_lags(api: Api, ann: str, lagging: Lag) -> None:
    with lagging():
        made = api.call("CreateStory", story={"title": "t", "author": ann, "tags": [new_id()]})
        assert api.call("GetStory", name=made.name) == made
        changed = api.call("UpdateStory", story={"name": made.name, "score": 7}, update_mask="score")
        assert api.call("GetStory", name=made.name) == changed
        listed = api.call("ListStories", filter=f'tags:"{made.tags[0]}"')
        assert (list(listed.stories), api.answered_by) == ([changed], "primary")
        deleted = api.call("DeleteStory", name=made.name)
        assert api.call("GetStory", name=made.name) == deleted
        assert not api.call("ListStories", filter=f'tags:"{made.tags[0]}"').stories


def test_rule_27_a_write_is_visible_to_others_without_a_token(api: Api, ann: str, lagging: Lag) -> None:
    with lagging():
        made = api.call("CreateStory", story={"title": "t", "author": ann})
        api.session = ""
        assert api.call("GetStory", name=made.name) == made


def test_rule_27_an_uncached_record_is_read_back_with_the_token(api: Api, ann: str, lagging: Lag) -> None:
    story = api.call("CreateStory", story={"title": "t", "author": ann}).name
    with lagging():
        made = api.call("CreateClick", parent=story, click={"referrer": "r"})
        assert (api.call("GetClick", name=made.name), api.answered_by) == (made, "primary")
        api.session = ""
        api.refused(Code.NOT_FOUND, "GetClick", name=made.name)
        strong = {CONSISTENCY_KEY: "strong"}
        assert (api.call("GetClick", strong, name=made.name), api.answered_by) == (made, "primary")


def test_rule_27_a_token_covers_what_a_foreign_key_changed(api: Api, ann: str, lagging: Lag) -> None:
    voter = api.call("CreateUser", user={"displayName": "Vic"}).name
    story = api.call("CreateStory", story={"title": "t", "author": ann}).name
    first = api.call("CreateComment", parent=story, comment={"author": ann, "text": "first"})
    answer = api.call(
        "CreateComment", parent=story, comment={"author": ann, "text": "b", "replyTo": first.name}
    )
    api.call("VoteStory", name=story, voter=voter, direction="DIRECTION_UP")
    (vote,) = api.call("ListVotes", parent=story).votes
    api.call("GetVote", name=vote.name)
    with lagging():
        api.call("DeleteComment", name=first.name)
        assert TOKENS.decode(api.session).recent == ()  # no entry that it wrote itself is new enough any more
        assert not api.call("GetComment", name=answer.name).reply_to
        api.call("DeleteUser", name=voter)
        api.refused(Code.NOT_FOUND, "GetVote", name=vote.name)


def test_rule_27_a_token_covers_what_sql_of_ones_own_changed(halls: Api) -> None:
    name = hall(halls).name
    halls.call("RenameHall", name=name, title="renamed")
    assert TOKENS.decode(halls.session).recent == ()
    assert halls.call("GetHall", name=name).title == "renamed"


def test_rule_28_a_request_needs_no_earlier_one(halls: Api) -> None:
    name = hall(halls).name
    first, halls.session = halls.session, ""
    assert halls.call("GetHall", name=name).name == name
    halls.session = first
    assert halls.call("GetHall", name=name).name == name


def test_rule_30_validation_answers_as_the_call_would_and_changes_nothing(api: Api, ann: str) -> None:
    story = {"title": "t", "author": ann}
    made = api.call("CreateStory", story=story)
    tried = api.call("CreateStory", story=story, story_id=(new := new_id("s")), validate_only=True)
    assert (tried.name, tried.title) == (f"stories/{new}", "t")
    api.refused(Code.NOT_FOUND, "GetStory", name=tried.name)
    change = {"name": made.name, "title": "other"}
    assert api.call("UpdateStory", story=change, validate_only=True).title == "other"
    assert api.call("DeleteStory", name=made.name, validate_only=True).HasField("delete_time")
    assert api.call("GetStory", name=made.name) == made
    assert SESSION_KEY not in api.trailing


def test_rule_30_validation_fails_when_the_call_would(halls: Api, api: Api, ann: str) -> None:
    made = api.call("CreateStory", story={"title": "t", "author": ann})
    taken = {"story": {"title": "t", "author": ann}, "story_id": made.name.partition("/")[2]}
    refusals = []
    for dry in (True, False):
        refusals += [
            api.refused(Code.ALREADY_EXISTS, "CreateStory", **taken, validate_only=dry),
            api.refused(
                Code.FAILED_PRECONDITION,
                "CreateStory",
                story={"title": "t", "author": "users/nobody"},
                validate_only=dry,
            ),
            api.refused(Code.ABORTED, "DeleteStory", name=made.name, etag='"0"', validate_only=dry),
            api.refused(Code.NOT_FOUND, "DeleteStory", name="stories/nothing", validate_only=dry),
        ]
    assert refusals[:4] == refusals[4:]
    halls.refused(Code.PERMISSION_DENIED, "CreateHall", STRANGER, hall={"title": "t"}, validate_only=True)


def test_a_consistency_chooses_who_answers(api: Api, ann: str) -> None:
    made = api.call("CreateStory", story={"title": "t", "author": ann})
    api.read_until_cached("GetStory", name=made.name)
    answered = {}
    for consistency in ("eventual", "bounded", "session", "strong"):
        assert api.call("GetStory", {CONSISTENCY_KEY: consistency}, name=made.name) == made
        answered[consistency] = api.answered_by
    assert answered.pop("strong") == "primary"
    assert set(answered.values()) <= {"near", "cache"}, answered
    refusal = api.refused(Code.INVALID_ARGUMENT, "GetStory", {CONSISTENCY_KEY: "perfect"}, name=made.name)
    assert "eventual, bounded, session, strong" in refusal.violations[CONSISTENCY_KEY]
    api.session = "no token"
    assert SESSION_KEY in api.refused(Code.INVALID_ARGUMENT, "GetStory", name=made.name).violations


def test_a_method_has_the_consistency_that_its_proto_gives_it(halls: Api) -> None:
    guide = halls.call("CreateGuide", guide={"title": "Gus"}).name
    assert (halls.call("GetGuide", name=guide).name, halls.answered_by) == (guide, "primary")
    halls.call("GetGuide", {CONSISTENCY_KEY: "eventual"}, name=guide)
    assert halls.answered_by != "primary"


def test_a_field_that_the_proto_does_not_have_is_refused(api: Api) -> None:
    request = api.method("GetStory").input_class.FromString(b"\x0a\x09stories/1\xba\x3e\x03abc")
    refusal = api.refused_to_send(Code.INVALID_ARGUMENT, "GetStory", request)
    assert "999" in refusal.violations["request"]
