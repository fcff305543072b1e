"""Checks of requests: every violation at once, each with the path of its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entresol.codegen.protos import compile_protos
from entresol.errors import ConfigurationError, InvalidArgumentError
from entresol.schema.checks import (
    VIOLATIONS_MAX,
    RequestCheck,
    clear_input_only,
    clear_output_only,
)
from entresol.schema.load import load
from entresol.schema.masks import WHOLE, parse_mask, populated
from entresol.schema.model import IdSource, Method, Model, Resource

UUID4 = "6f1c0a52-5d8e-4b77-9c3a-0f2d4e6b8a10"


class Checks:
    """The check of every method of the library, by the method's name."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.methods: Mapping[str, Method] = {
            path.rpartition("/")[2]: one for path, one in model.methods.items()
        }
        self._checks = {
            name: RequestCheck(method, model, batch_size_max=3) for name, method in self.methods.items()
        }

    def request(self, method: str, /, **values: Any) -> Any:
        return self.methods[method].input_class(**values)

    def found(self, method: str, /, **values: Any) -> dict[str, str]:
        """Return the reasons by the fields' paths; every field has one."""
        violations = self._checks[method].violations(self.request(method, **values))
        reasons = {violation.field: violation.reason for violation in violations}
        assert len(reasons) == len(violations)
        return reasons

    def texts(self, method: str, /, **values: Any) -> dict[str, str]:
        violations = self._checks[method].violations(self.request(method, **values))
        return {violation.field: violation.description for violation in violations}

    def of(self, name: str) -> RequestCheck:
        return self._checks[name]


@pytest.fixture(scope="session")
def checks(library: Model) -> Checks:
    return Checks(library)


BOOK = "shelves/a/books/b"


def test_a_good_request_has_no_violations(checks: Checks) -> None:
    assert checks.found("GetBook", name=BOOK) == {}
    assert checks.found("ListShelves") == {}
    assert (
        checks.found("CreateBook", parent="shelves/a", book={"title": "t"}, book_id="b", request_id=UUID4)
        == {}
    )
    assert checks.found("UpdateBook", book={"name": BOOK, "pages": 4}) == {}
    assert checks.found("BatchGetBooks", names=[BOOK]) == {}
    checks.of("GetBook").require(checks.request("GetBook", name=BOOK))


def test_everything_wrong_is_reported_at_once_with_its_path(checks: Checks) -> None:
    assert checks.found(
        "CreateBook",
        parent="shelf/a",
        book={
            "title": "a\0",
            "origin": "books/b",
            "publish_time": {"nanos": 1},
            "reading_time": {"seconds": 1, "nanos": -1},
            "reviews": [{"reader": "r"}, {"stars": 1}],
            "labels": {"a\0": "b", "c": "\0"},
            "branches": {"main": {"country": {}, "town": "Köln am Rhein"}},
        },
        book_id="B",
        request_id="x",
    ) == {
        "parent": "INVALID_NAME",
        "book.title": "INVALID_VALUE",
        "book.origin": "INVALID_NAME",
        "book.publish_time": "INVALID_VALUE",
        "book.reading_time": "OUT_OF_RANGE",
        "book.reviews[1].reader": "REQUIRED",
        'book.labels["a\\u0000"]': "INVALID_VALUE",
        'book.labels["c"]': "INVALID_VALUE",
        'book.branches["main"].country.code': "REQUIRED",
        'book.branches["main"].town': "RULE_VIOLATED",
        "book_id": "INVALID_ID",
        "request_id": "INVALID_VALUE",
    }


def test_require_raises_with_every_violation(checks: Checks) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        checks.of("CreateBook").require(checks.request("CreateBook"))
    assert [violation.field for violation in caught.value.violations] == ["parent", "book"]


def test_the_number_of_violations_is_bounded(checks: Checks) -> None:
    names = ["x"] * (VIOLATIONS_MAX + 50)
    check = RequestCheck(checks.methods["BatchGetBooks"], checks.model)
    assert len(check.violations(checks.request("BatchGetBooks", names=names))) == VIOLATIONS_MAX


def test_rule_25_required_means_a_value_that_is_not_zero(checks: Checks) -> None:
    assert checks.found("GetBook") == {"name": "REQUIRED"}
    assert checks.found("CreateBook", parent="shelves/a") == {"book": "REQUIRED"}
    assert "book" in checks.found("CreateBook", parent="shelves/a", book={"printer": {"country": {}}})
    assert checks.found("CreateBook", parent="shelves/a", book={"pages": 1}) == {"book.title": "REQUIRED"}
    assert checks.found("BatchCreateBooks") == {"requests": "REQUIRED"}
    assert checks.found("BatchGetBooks") == {"names": "REQUIRED"}  # rule 55


def test_rule_25_an_update_requires_only_what_its_mask_names(checks: Checks) -> None:
    book = {"name": BOOK, "pages": 1, "printer": {"country": {}}}
    assert checks.found("UpdateBook", book=book, update_mask={"paths": ["pages"]}) == {}
    assert checks.found("UpdateBook", book=book, update_mask={"paths": ["title"]}) == {
        "book.title": "REQUIRED"
    }
    assert checks.found("UpdateBook", book=book, update_mask={"paths": ["*"]}) == {
        "book.title": "REQUIRED",
        "book.printer.country.code": "REQUIRED",
    }
    printer = {"paths": ["printer.country.code"]}
    assert checks.found("UpdateBook", book=book, update_mask=printer) == {
        "book.printer.country.code": "REQUIRED"
    }
    assert checks.found("UpdateBook", book=book, update_mask={"paths": ["printer.town"]}) == {}


def test_an_update_is_judged_only_in_what_it_changes(checks: Checks) -> None:
    book = {"name": BOOK, "title": "far too long", "origin": "nowhere", "printer": {"town": "too long"}}
    assert checks.found("UpdateBook", book=book, update_mask={"paths": ["pages", "printer.number"]}) == {}
    assert checks.found(
        "UpdateBook", book=book, update_mask={"paths": ["title", "printer.town", "origin"]}
    ) == {
        "book.title": "RULE_VIOLATED",
        "book.printer.town": "RULE_VIOLATED",
        "book.origin": "INVALID_NAME",
    }
    assert checks.found("UpdateBook", book=book) == {
        "book.title": "RULE_VIOLATED",
        "book.printer.town": "RULE_VIOLATED",
        "book.origin": "INVALID_NAME",
    }


def test_an_update_names_what_it_changes(checks: Checks) -> None:
    assert checks.found("UpdateBook") == {"book": "REQUIRED"}
    assert checks.found("UpdateBook", book={"pages": 1}) == {"book.name": "REQUIRED"}
    assert checks.found("UpdateBook", book={"name": "shelves/a"}) == {"book.name": "INVALID_NAME"}
    assert checks.found("UpdateBook", book={"name": "shelves/-/books/b"}) == {"book.name": "INVALID_NAME"}


def test_a_wrong_mask_is_the_only_complaint_about_the_resource(checks: Checks) -> None:
    found = checks.found(
        "UpdateBook", book={"name": BOOK, "title": "far too long"}, update_mask={"paths": ["titel"]}
    )
    assert found == {"update_mask": "INVALID_MASK"}


def test_keys_in_masks_may_be_odd(checks: Checks) -> None:
    assert checks.found("UpdateBook", book={"name": BOOK}, update_mask={"paths": ["labels.`Odd Key_`"]}) == {}


def test_rule_102_an_update_that_creates_is_checked_as_a_create(checks: Checks) -> None:
    request = checks.request("UpdateBook", book={"name": "shelves/a/books/B", "pages": 1}, allow_missing=True)
    found = {one.field: one.reason for one in checks.of("UpdateBook").violations(request, creating=True)}
    assert found == {"book.name": "INVALID_ID", "book.title": "REQUIRED"}


def test_rules_between_fields_are_checked_when_all_are_known(checks: Checks, book: Resource) -> None:
    assert checks.found("CreateBook", parent="shelves/a", book={"title": "t", "sold": 1}) == {
        "book": "RULE_VIOLATED"
    }
    assert checks.found("UpdateBook", book={"name": BOOK, "sold": 1}) == {}
    merged = book.message_class(name=BOOK, title="far too long", sold=1, printer={"town": "too long"})
    assert book.descriptor is not None
    mask = parse_mask(["sold"], book.descriptor, write=True)
    assert [one.field for one in checks.of("UpdateBook").merged_violations(merged, mask)] == ["book"]
    everything = checks.of("UpdateBook").merged_violations(merged, WHOLE)
    assert {one.field for one in everything} == {"book", "book.title", "book.printer.town"}
    merged.pages = 3
    assert checks.of("UpdateBook").merged_violations(merged, populated(book.message_class(sold=1))) == []


def test_rule_88_the_name_in_a_create_is_ignored(checks: Checks) -> None:
    assert checks.found("CreateBook", parent="shelves/a", book={"name": "nonsense", "title": "t"}) == {}


def test_rule_7_ids_that_users_choose_have_a_format(checks: Checks, library: Model) -> None:
    for given_ in ("B", "1a", "a-", "a" * 64, "é", "a/b", "-", "a.b"):
        assert checks.found("CreateBook", parent="shelves/a", book={"title": "t"}, book_id=given_) == {
            "book_id": "INVALID_ID"
        }
    assert checks.found("CreateBook", parent="shelves/a", book={"title": "t"}, book_id="a" * 63) == {}


@pytest.mark.parametrize(
    ("source", "given_", "found"),
    [
        (IdSource.EITHER, "", []),
        (IdSource.EITHER, "b", []),
        (IdSource.CLIENT, "", ["REQUIRED"]),
        (IdSource.CLIENT, "b", []),
        (IdSource.SERVER, "", []),
        (IdSource.SERVER, "b", ["INVALID_ID"]),
    ],
)
def test_rule_89_who_chooses_ids_is_the_resources_choice(
    source: IdSource, given_: str, found: list[str], checks: Checks, book: Resource
) -> None:
    method = replace(checks.methods["CreateBook"], resource=replace(book, id_source=source))
    request = checks.request("CreateBook", parent="shelves/a", book={"title": "t"}, book_id=given_)
    assert [one.reason for one in RequestCheck(method, checks.model).violations(request)] == found


def test_names_are_those_of_the_resource_meant(checks: Checks) -> None:
    assert checks.texts("GetBook", name="shelves/a") == {
        "name": "must be a name of the form shelves/{shelf}/books/{book}"
    }
    for name in (
        "shelves//books/b",
        "shelves/a/books/b/",
        "/shelves/a/books/b",
        "shelves/a b/books/b",
        BOOK + "\0",
    ):
        assert set(checks.found("GetBook", name=name)) == {"name"}
    assert checks.found("GetBook", name="shelves/Ä/books/1.2_3") == {}
    assert checks.found("LendBook", name=BOOK, shelves=["shelves/a", BOOK]) == {"shelves[1]": "INVALID_NAME"}
    assert checks.found("LendBook", name=BOOK, purpose="//other.example.com/things/1") == {
        "purpose": "INVALID_NAME"
    }
    assert checks.found("LendBook", name=BOOK, purpose="things/1") == {}


def test_rule_7_names_that_are_not_in_nfc_are_refused(checks: Checks) -> None:
    assert checks.texts("GetBook", name="shelves/e\u0301/books/b") == {
        "name": "must be in Unicode's form NFC"
    }


def test_rule_71_the_wildcard_stands_only_in_parents_of_reads(checks: Checks) -> None:
    assert checks.found("ListBooks", parent="shelves/-") == {}
    assert checks.found("ListBooks", parent="-") == {}
    assert checks.found("BatchGetBooks", parent="-", names=[BOOK]) == {}
    assert checks.found("CreateBook", parent="shelves/-", book={"title": "t"}) == {"parent": "INVALID_NAME"}
    assert checks.found("GetBook", name="shelves/-/books/b") == {"name": "INVALID_NAME"}
    assert checks.found("BatchGetBooks", names=["shelves/-/books/b"]) == {"names[0]": "INVALID_NAME"}


def test_rule_56_names_of_a_batch_are_below_its_parent(checks: Checks) -> None:
    names = [BOOK, "shelves/b/books/b", ""]
    assert checks.found("BatchGetBooks", parent="shelves/a", names=names) == {
        "names[1]": "PARENT_MISMATCH",
        "names[2]": "REQUIRED",
    }
    assert checks.found("BatchGetBooks", parent="shelves/-", names=names[:2]) == {}


def test_a_malformed_name_of_a_batch_is_one_mistake(checks: Checks) -> None:
    names = ["shelves", "shelves/-/books/b", "shelves/b/books/b"]
    assert checks.found("BatchGetBooks", parent="shelves/a", names=names) == {
        "names[0]": "INVALID_NAME",
        "names[1]": "INVALID_NAME",
        "names[2]": "PARENT_MISMATCH",
    }


def test_rule_55_batches_are_bounded(checks: Checks) -> None:
    assert checks.found("BatchGetBooks", names=[BOOK] * 3) == {}
    assert checks.found("BatchGetBooks", names=[BOOK] * 4) == {"names": "BATCH_TOO_LARGE"}
    requests = [{"book": {"title": "t"}, "parent": "shelves/a"}] * 4
    assert checks.found("BatchCreateBooks", requests=requests) == {"requests": "BATCH_TOO_LARGE"}


def test_rule_95_requests_of_a_batch_are_checked_each_and_inherit_the_parent(checks: Checks) -> None:
    requests = [
        {"book": {"title": "t"}},
        {"book": {"title": "t"}, "parent": "shelves/b"},
        {"book": {"title": "far too long", "sold": 1}, "parent": "shelves/a", "book_id": "B"},
    ]
    assert checks.found("BatchCreateBooks", parent="shelves/a", requests=requests) == {
        "requests[1].parent": "PARENT_MISMATCH",
        "requests[2].book_id": "INVALID_ID",
        "requests[2].book": "RULE_VIOLATED",
        "requests[2].book.title": "RULE_VIOLATED",
    }
    assert checks.found("BatchCreateBooks", requests=requests[:1]) == {"requests[0].parent": "REQUIRED"}


def test_rule_60_page_sizes_are_not_negative(checks: Checks) -> None:
    assert checks.found("ListBooks", parent="shelves/a", page_size=-1) == {"page_size": "OUT_OF_RANGE"}
    assert checks.found("ListBooks", parent="shelves/a", page_size=2**31 - 1) == {}


def test_rule_29_request_ids_are_uuids_of_version_4(checks: Checks) -> None:
    for good in ("", UUID4, UUID4.upper()):
        assert checks.found("CreateBook", parent="shelves/a", book={"title": "t"}, request_id=good) == {}
    for bad in ("1", UUID4.replace("-", ""), UUID4.replace("-4", "-1"), f"{{{UUID4}}}"):
        assert checks.found("CreateBook", parent="shelves/a", book={"title": "t"}, request_id=bad) == {
            "request_id": "INVALID_VALUE"
        }


@pytest.mark.parametrize(
    ("seconds", "nanos", "reason"),
    [
        (-62_135_596_800, 0, None),
        (253_402_300_799, 999_999_000, None),
        (-62_135_596_801, 0, "OUT_OF_RANGE"),
        (253_402_300_800, 0, "OUT_OF_RANGE"),
        (0, -1000, "OUT_OF_RANGE"),
        (0, 1_000_000_000, "OUT_OF_RANGE"),
        (0, 999, "INVALID_VALUE"),
    ],
)
def test_times_fit_the_database_exactly(seconds: int, nanos: int, reason: str | None, checks: Checks) -> None:
    found = checks.found("LendBook", name=BOOK, return_time={"seconds": seconds, "nanos": nanos})
    assert found == ({"return_time": reason} if reason else {})


@pytest.mark.parametrize(
    ("seconds", "nanos", "reason"),
    [
        (315_576_000_000, 0, None),
        (-1, -1000, None),
        (0, -1000, None),
        (315_576_000_001, 0, "OUT_OF_RANGE"),
        (1, -1000, "OUT_OF_RANGE"),
        (0, 1_000_000_000, "OUT_OF_RANGE"),
        (0, 1, "INVALID_VALUE"),
    ],
)
def test_durations_fit_the_database_exactly(
    seconds: int, nanos: int, reason: str | None, checks: Checks
) -> None:
    found = checks.found("LendBook", name=BOOK, period={"seconds": seconds, "nanos": nanos})
    assert found == ({"period": reason} if reason else {})


def test_text_that_cannot_be_stored_is_found_wherever_it_is(checks: Checks) -> None:
    note = {"a": ["x", {"b": "\0"}]}
    assert checks.found("LendBook", name=BOOK, note=note) == {"note": "INVALID_VALUE"}
    assert checks.found("LendBook", name=BOOK, alias={"value": "\0"}) == {"alias": "INVALID_VALUE"}
    found = checks.found("LendBook", name=BOOK, borrowers={"mon": {"aliases": ["x", "\0"]}})
    assert found == {'borrowers["mon"].aliases[1]': "INVALID_VALUE"}


def test_what_json_cannot_hold_is_refused(checks: Checks) -> None:
    note = {"a": float("nan")}
    assert checks.found("LendBook", name=BOOK, note=note) == {"note": "INVALID_VALUE"}
    unknown = {"type_url": "type.example.com/nobody.knows.It", "value": b"x"}
    assert checks.found("LendBook", name=BOOK, attachment=unknown) == {"attachment": "INVALID_VALUE"}
    known = {"type_url": "type.example.com/library.v1.Address", "value": b""}
    assert checks.found("LendBook", name=BOOK, attachment=known) == {}


def test_unknown_fields_are_refused_at_any_depth(checks: Checks) -> None:
    create = checks.methods["CreateBook"].input_class
    lend = checks.methods["LendBook"].input_class
    unknown = b"\xc8\x3e\x01"  # number 1001, a varint
    top = lend.FromString(checks.request("LendBook", name=BOOK).SerializeToString() + unknown)
    found = checks.of("LendBook").violations(top)
    assert [(one.field, one.reason) for one in found] == [("request", "UNKNOWN_FIELD")]
    assert "1001" in found[0].description
    book = checks.request("CreateBook", book={"title": "t"}).book.SerializeToString()
    review = b"\x0a\x01r" + unknown
    book += b"\xa2\x01" + bytes([len(review)]) + review
    deep = create.FromString(b"\x0a\x09shelves/a\x12" + bytes([len(book)]) + book)
    found = checks.of("CreateBook").violations(deep)
    assert [(one.field, one.reason) for one in found] == [("book.reviews[0]", "UNKNOWN_FIELD")]


def test_a_rule_without_result_is_the_callers_fault(checks: Checks) -> None:
    assert checks.found("LendBook", name=BOOK, days=3) == {}
    assert checks.found("LendBook", name=BOOK, days=0) == {"request": "RULE_VIOLATED"}


def test_rule_26_lengths_count_code_points(checks: Checks) -> None:
    assert checks.found("CreateBook", parent="shelves/a", book={"title": "é" * 8}) == {}
    assert checks.found("CreateBook", parent="shelves/a", book={"title": "é" * 9}) == {
        "book.title": "RULE_VIOLATED"
    }


def test_rule_22_output_only_is_cleared_at_any_depth(checks: Checks) -> None:
    request = checks.request(
        "CreateBook",
        parent="shelves/a",
        book={
            "title": "t",
            "uid": "u",
            "create_time": {"nanos": -5},
            "printer": {"town": "Bonn", "region": "west"},
            "reviews": [{"reader": "r", "seen_time": {"seconds": 1}, "address": {"region": "west"}}],
            "branches": {"main": {"region": "west"}},
        },
    )
    clear_output_only(request)
    assert request == checks.request(
        "CreateBook",
        parent="shelves/a",
        book={
            "title": "t",
            "printer": {"town": "Bonn"},
            "reviews": [{"reader": "r", "address": {}}],
            "branches": {"main": {}},
        },
    )
    assert checks.of("CreateBook").violations(request) == []


def test_rule_24_input_only_is_cleared_at_any_depth(book: Resource) -> None:
    message: Any = book.message_class(title="t", password="p", printer={"town": "Bonn", "secret": "s"})
    clear_input_only(message)
    assert message == book.message_class(title="t", printer={"town": "Bonn"})


@given(st.binary(max_size=60))
def test_any_bytes_that_parse_are_checked_without_failing(checks: Checks, data: bytes) -> None:
    for name in ("CreateBook", "UpdateBook", "BatchCreateBooks", "LendBook"):
        request = checks.methods[name].input_class()
        try:
            request.MergeFromString(data)
        except Exception:  # noqa: S112 - what does not parse never reaches a check
            continue
        clear_output_only(request)
        assert all(one.field and one.description for one in checks.of(name).violations(request))


BROKEN = """
syntax = "proto3";
package broken.v1;
import "buf/validate/validate.proto";
import "google/api/field_behavior.proto";
import "google/api/annotations.proto";
// Asks for something.
message AskRequest {
  option (buf.validate.message).cel = {id: "no", message: "no", expression: "this.size >"};
  // How much.
  int32 size = 1 [(google.api.field_behavior) = OPTIONAL];
}
// Answers.
message AskResponse {}
// Asks.
service AskService {
  // Asks.
  rpc Ask(AskRequest) returns (AskResponse) {
    option (google.api.http) = {post: "/v1/things:ask" body: "*"};
  }
}
"""


def test_a_rule_that_cannot_work_is_found_at_start(tmp_path: Path) -> None:
    (tmp_path / "ask.proto").write_text(BROKEN, encoding="utf-8")
    model = load(compile_protos(tmp_path))
    with pytest.raises(ConfigurationError, match=r"broken\.v1\.AskRequest: a buf\.validate rule cannot work"):
        RequestCheck(model.methods["/broken.v1.AskService/Ask"], model)
