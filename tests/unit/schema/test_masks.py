"""Masks: what paths mean, and that reading and writing with one mask agree (AIP-161)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entresol.errors import InvalidArgumentError
from entresol.schema.checks import clear_output_only
from entresol.schema.mask_parser import PATHS_MAX, SEGMENTS_MAX, split_paths
from entresol.schema.masks import (
    NOTHING,
    WHOLE,
    Mask,
    apply_read,
    immutable_violations,
    merge,
    parse_mask,
    parse_mask_text,
    populated,
    stored_fields,
)
from entresol.schema.model import Resource


def writing(book: Resource, *paths: str) -> Mask:
    assert book.descriptor is not None
    return parse_mask(paths, book.descriptor, write=True)


def reading(book: Resource, *paths: str) -> Mask:
    assert book.descriptor is not None
    return parse_mask(paths, book.descriptor, write=False)


def seen(book: Resource, message: Any, *paths: str) -> Any:
    copy = book.message_class()
    copy.CopyFrom(message)
    apply_read(reading(book, *paths), copy)
    return copy


def merged(mask: Mask, source: Any, target: Any) -> Any:
    result = type(target)()
    result.CopyFrom(target)
    merge(mask, source, result)
    return result


def flat(mask: Mask, at: str = "") -> set[str]:
    """Return the paths of the leaves."""
    if mask.parts is None:
        return {at.removeprefix(".") or "*"}
    return {path for name, part in mask.parts.items() for path in flat(part, f"{at}.{name}")}


@pytest.mark.parametrize(
    ("paths", "leaves"),
    [
        (["title"], {"title"}),
        (["title", "pages"], {"title", "pages"}),
        (["printer"], {"printer"}),
        (["printer.town"], {"printer.town"}),
        (["printer.town", "printer"], {"printer"}),
        (["printer", "printer.town"], {"printer"}),
        (["printer.*"], {"printer"}),
        (["printer.country.code"], {"printer.country.code"}),
        (["labels.color"], {"labels.color"}),
        (["labels.`odd key.x`"], {"labels.odd key.x"}),
        (["labels.`a``b`"], {"labels.a`b"}),
        (["labels.*"], {"labels.*"}),
        (["copies.007"], {"copies.7"}),
        (["branches.main.town"], {"branches.main.town"}),
        (["branches.*.town"], {"branches.*.town"}),
        (["reviews.*.stars"], {"reviews.*.stars"}),
        (["publish_time.seconds"], {"publish_time.seconds"}),
        (["publishTime"], {"publish_time"}),
        (["*"], {"*"}),
        (["title", "*"], {"*"}),
    ],
)
def test_rules_42_and_43_paths_lead_to_fields_keys_and_elements(
    paths: list[str], leaves: set[str], book: Resource
) -> None:
    assert flat(writing(book, *paths)) == leaves
    assert flat(reading(book, *paths)) == leaves


def test_rule_40_no_path_is_everything_when_reading(book: Resource) -> None:
    assert reading(book) == WHOLE
    assert parse_mask_text("", book.message_class.DESCRIPTOR) == WHOLE


def problems(mask: list[str], book: Resource, *, write: bool) -> list[str]:
    with pytest.raises(InvalidArgumentError) as caught:
        writing(book, *mask) if write else reading(book, *mask)
    assert {violation.field for violation in caught.value.violations} == {
        "update_mask" if write else "read_mask"
    }
    return [violation.description for violation in caught.value.violations]


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "reviews.0.stars",
            "reviews is a list, in which an index leads nowhere; name the list, or reviews.*",
        ),
        ("tags.0", "tags is a list, in which an index leads nowhere"),
        ("reviews.stars", "reviews is a list, in which 'stars' leads nowhere"),
        ("", "expected a field or a key at position 1"),
        ("title.", "expected a field or a key at position 7"),
        ("printer..town", "expected a field or a key at position 9"),
        ("labels.`open", "expected a field or a key at position 8"),
        ("labels.`a`b", "expected a dot at position 11"),
        (".".join(["printer"] * (SEGMENTS_MAX + 1)), f"deeper than {SEGMENTS_MAX} fields"),
    ],
)
def test_rule_44_indexes_and_bad_syntax_are_always_refused(
    path: str, why: str, write: bool, book: Resource
) -> None:
    (description,) = problems([path], book, write=write)
    assert why in description


@pytest.mark.parametrize(
    "path", ["nothing", "title.length", "printer.nothing", "copies.x", "labels.a.b", "name.x"]
)
def test_rule_45_an_impossible_path_is_refused_when_writing_and_ignored_when_reading(
    path: str, book: Resource
) -> None:
    if path != "name.x":  # an update leaves the name alone, whatever the path says of it
        assert len(problems([path], book, write=True)) == 1
    assert reading(book, path) == NOTHING
    assert flat(reading(book, path, "title")) == {"title"}


def test_every_wrong_path_is_reported_at_once(book: Resource) -> None:
    assert len(problems(["a", "title", "b", "tags.1"], book, write=True)) == 3


def test_the_number_of_paths_is_bounded(book: Resource) -> None:
    (description,) = problems(["title"] * (PATHS_MAX + 1), book, write=True)
    assert str(PATHS_MAX) in description


@pytest.mark.parametrize(
    "path", ["create_time", "create_time.seconds", "uid", "printer.region", "branches.*.region", "name"]
)
def test_rule_22_an_update_leaves_alone_what_the_server_sets(path: str, book: Resource) -> None:
    assert writing(book, path) == NOTHING
    assert flat(reading(book, path)) == {path}


def test_a_mask_in_metadata_is_split_outside_of_quotes(book: Resource) -> None:
    assert split_paths("title, labels.`a,b`,printer.town,") == ["title", "labels.`a,b`", "printer.town"]
    mask = parse_mask_text("title,labels.`a,b`", book.message_class.DESCRIPTOR)
    assert flat(mask) == {"title", "labels.a,b"}


@pytest.fixture
def novel(book: Resource) -> Any:
    return book.message_class(
        name="shelves/a/books/b",
        title="t",
        pages=7,
        subtitle="",
        tags=["x", "y"],
        labels={"a": "1", "b": "2"},
        printer={"town": "Bonn", "number": 3, "region": "west"},
        reviews=[{"reader": "r", "stars": 1}, {"reader": "s", "stars": 2}],
        branches={"main": {"town": "Bonn", "number": 1}, "side": {"number": 2}},
        publish_time={"seconds": 5},
    )


def test_reading_keeps_what_the_mask_covers(novel: Any, book: Resource) -> None:
    kept = seen(
        book, novel, "title", "printer.town", "labels.b", "reviews.*.stars", "branches.*.town", "rating"
    )
    assert kept == book.message_class(
        title="t",
        printer={"town": "Bonn"},
        labels={"b": "2"},
        reviews=[{"stars": 1}, {"stars": 2}],
        branches={"main": {"town": "Bonn"}, "side": {}},
    )


def test_reading_leaves_no_empty_messages(novel: Any, book: Resource) -> None:
    kept = seen(book, novel, "printer.country", "branches.side.town")
    assert not kept.HasField("printer")
    assert not kept.branches


def test_writing_changes_only_what_the_mask_covers(novel: Any, book: Resource) -> None:
    source = book.message_class(title="new", pages=9, printer={"town": "Ulm"})
    result = merged(writing(book, "title", "printer.town", "printer.number"), source, novel)
    assert (result.title, result.pages) == ("new", 7)
    assert (result.printer.town, result.printer.number, result.printer.region) == ("Ulm", 0, "west")


def test_writing_unset_values_clears(novel: Any, book: Resource) -> None:
    result = merged(
        writing(book, "title", "subtitle", "tags", "labels", "publish_time"), book.message_class(), novel
    )
    assert result.title == ""
    assert not result.HasField("subtitle")
    assert not result.tags
    assert not result.labels
    assert not result.HasField("publish_time")


def test_rule_99_a_star_replaces_all_but_what_the_server_owns(novel: Any, book: Resource) -> None:
    novel.create_time.seconds = 9
    result = merged(WHOLE, book.message_class(name="other", title="new", printer={"town": "Ulm"}), novel)
    assert result == book.message_class(
        name="shelves/a/books/b",
        title="new",
        printer={"town": "Ulm", "region": "west"},
        create_time={"seconds": 9},
    )


def test_elements_of_lists_are_paired_by_position_and_keys_by_name(novel: Any, book: Resource) -> None:
    source = book.message_class(
        reviews=[{"reader": "ignored", "stars": 5}],
        branches={"side": {"town": "Ulm"}, "new": {"town": "Kiel", "number": 9}},
    )
    result = merged(writing(book, "reviews.*.stars", "branches.*.town"), source, novel)
    assert result.reviews == [type(novel.reviews[0])(reader="r", stars=5)]
    assert {key: (value.town, value.number) for key, value in result.branches.items()} == {
        "side": ("Ulm", 2),
        "new": ("Kiel", 0),
    }


def test_single_keys_are_set_and_removed(novel: Any, book: Resource) -> None:
    source = book.message_class(labels={"a": "9", "c": "3"}, branches={"new": {"town": "Kiel"}})
    result = merged(
        writing(book, "labels.a", "labels.b", "branches.new", "branches.main.town"), source, novel
    )
    assert dict(result.labels) == {"a": "9"}
    assert sorted(result.branches) == ["main", "new", "side"]
    assert (result.branches["main"].town, result.branches["main"].number) == ("", 1)


def test_rule_98_without_a_mask_what_has_a_value_is_written(book: Resource) -> None:
    request = book.message_class(
        name="shelves/a/books/b",
        title="t",
        subtitle="",
        pages=0,
        rating={"value": 0},
        printer={"town": "Ulm", "country": {}, "region": "west"},
        extra={"a": 1},
        reviews=[{"stars": 1}],
        labels={"a": "1"},
        publish_time={},
        create_time={"seconds": 1},
    )
    assert flat(populated(request)) == {
        "title", "subtitle", "rating", "printer.town", "extra", "reviews", "labels", "publish_time",
    }  # fmt: skip
    assert populated(book.message_class(printer={"country": {}})) == NOTHING


def test_stored_fields_are_the_columns_an_update_writes(book: Resource) -> None:
    mask = writing(book, "pages", "title", "printer.town", "etag", "name", "create_time")
    assert [field.name for field in stored_fields(mask, book)] == ["title", "pages", "printer"]
    everything = {field.name for field in stored_fields(WHOLE, book)}
    assert {"title", "password", "author", "labels"} <= everything
    assert not {"name", "uid", "etag", "create_time", "update_time", "delete_time", "purge_time"} & everything


def test_rule_23_an_immutable_field_may_be_named_but_not_changed(book: Resource) -> None:
    old = book.message_class(author="users/a", title="t")
    same, other = book.message_class(author="users/a"), book.message_class(author="users/b")
    mask = writing(book, "author", "title")
    assert immutable_violations(mask, book, old, same, at="book") == []
    assert [one.field for one in immutable_violations(mask, book, old, other, at="book")] == ["book.author"]
    (violation,) = immutable_violations(WHOLE, book, old, other)
    # Also of JSON that came without a mask: there is none to leave it out of.
    told = ("author", "cannot be changed after creation; leave it out")
    assert (violation.field, violation.description) == told
    assert immutable_violations(writing(book, "title"), book, old, other) == []
    assert old.title == "t"


TEXTS = st.sampled_from(["", "x", "y"])
NUMBERS = st.sampled_from([0, 1, 2])
COUNTRIES = st.fixed_dictionaries({}, optional={"code": TEXTS})
ADDRESSES = st.fixed_dictionaries(
    {},
    optional={
        "town": TEXTS,
        "number": NUMBERS,
        "country": COUNTRIES,
        "aliases": st.lists(TEXTS, max_size=2),
        "floor": NUMBERS,
        "region": TEXTS,
    },
)
REVIEWS = st.fixed_dictionaries({}, optional={"reader": TEXTS, "stars": NUMBERS, "address": ADDRESSES})
KEYS = st.sampled_from(["a", "b"])
BOOKS = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXTS,
        "subtitle": TEXTS,
        "pages": NUMBERS,
        "rating": st.fixed_dictionaries({"value": NUMBERS}),
        "publish_time": st.fixed_dictionaries({}, optional={"seconds": NUMBERS, "nanos": NUMBERS}),
        "tags": st.lists(TEXTS, max_size=2),
        "labels": st.dictionaries(KEYS, TEXTS),
        "copies": st.dictionaries(NUMBERS, NUMBERS),
        "printer": ADDRESSES,
        "reviews": st.lists(REVIEWS, max_size=3),
        "branches": st.dictionaries(KEYS, ADDRESSES),
        "uid": TEXTS,
    },
)
PATHS = st.lists(
    st.sampled_from(
        ["title", "subtitle", "pages", "rating", "rating.value", "publish_time", "publish_time.seconds", "tags",
         "tags.*", "labels", "labels.a", "labels.*", "copies", "copies.1", "printer", "printer.town",
         "printer.country", "printer.country.code", "printer.aliases", "printer.floor", "printer.region", "reviews",
         "reviews.*", "reviews.*.stars", "reviews.*.address.town", "reviews.*.address", "branches", "branches.a",
         "branches.a.town", "branches.*.town", "branches.*.country.code", "branches.b.floor", "uid", "*"]
    ),
    min_size=1,
    max_size=4,
)  # fmt: skip


def without_output_only(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    clear_output_only(copy)
    return copy


@given(BOOKS, BOOKS, PATHS)
def test_rule_46_reading_returns_what_was_written(
    book: Resource, given_: dict[str, Any], stored: dict[str, Any], paths: list[str]
) -> None:
    source = without_output_only(book.message_class(**given_))
    result = merged(writing(book, *paths), source, book.message_class(**stored))
    assert seen(book, without_output_only(result), *paths) == seen(book, source, *paths)


@given(BOOKS, PATHS)
def test_rule_46_writing_what_was_read_changes_nothing(
    book: Resource, stored: dict[str, Any], paths: list[str]
) -> None:
    target = book.message_class(**stored)
    assert merged(writing(book, *paths), seen(book, target, *paths), target) == target


@given(BOOKS, BOOKS, PATHS)
def test_writing_leaves_the_rest_and_what_the_server_owns(
    book: Resource, given_: dict[str, Any], stored: dict[str, Any], paths: list[str]
) -> None:
    target = book.message_class(**stored)
    mask = writing(book, *paths)
    result = merged(mask, book.message_class(**given_), target)
    untouched = [field.name for field in book.fields if mask.at(field.name) is None]
    assert all(getattr(result, name) == getattr(target, name) for name in untouched)
    assert result.uid == target.uid


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_an_invalid_argument(book: Resource, text: str) -> None:
    fields = {"update_mask"}
    try:
        writing(book, text)
    except InvalidArgumentError as error:
        fields = {violation.field for violation in error.violations}
    assert fields == {"update_mask"}
