"""Filters: the rules of AIP-160 as a table of texts and what they mean, and properties that hold for any text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import assert_never

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from entresol.errors import InvalidArgumentError
from entresol.schema import filter_parser
from entresol.schema.filter_ast import (
    And,
    Compare,
    FieldPath,
    Filter,
    Has,
    Like,
    Not,
    Or,
    Present,
    Search,
)
from entresol.schema.filters import parse
from entresol.schema.model import Kind, Model, Resource


def rendered(node: Filter | None) -> str:
    """Return a tree as one line: `@` is an element of a list, `~` is LIKE, `?` is presence."""
    match node:
        case None:
            return ""
        case And(terms):
            return f"({' AND '.join(map(rendered, terms))})"
        case Or(terms):
            return f"({' OR '.join(map(rendered, terms))})"
        case Not(term):
            return f"NOT {rendered(term)}"
        case Compare(path, operator, value):
            return f"{place(path)} {operator.value} {value!r}"
        case Like(path, pattern, negated):
            return f"{place(path)} {'!' if negated else ''}~ {pattern!r}"
        case Present(path):
            return f"{place(path)}?"
        case Has(path, condition):
            return f"some({place(path)}: {rendered(condition)})"
        case Search(text, fields):
            return f"search({text!r} in {','.join(field.name for field in fields)})"
        case _:
            assert_never(node)


def place(path: FieldPath) -> str:
    return ".".join([path.field.name if path.field else "@", *path.steps])


def path_of(text: str, book: Resource) -> FieldPath:
    node = parse(text, book)
    assert isinstance(node, Compare | Like | Present | Has)
    return node.path


def problem(text: str, book: Resource) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        parse(text, book)
    (violation,) = caught.value.violations
    assert violation.field == "filter"
    return violation.description


def word(text: str) -> str:
    return f"search({text!r} in title,author)"


HALF_PAST_THREE = datetime(2012, 4, 21, 15, 30, tzinfo=UTC)

MEANINGS = [
    # Rule 74: sequences are AND, OR binds tighter than AND.
    ("74", "", ""),
    ("74", " \t\n ", ""),
    ("74", "*", ""),
    ("74", "a b", f"({word('a')} AND {word('b')})"),
    ("74", "a AND b", f"({word('a')} AND {word('b')})"),
    ("74", "a b AND c", f"({word('a')} AND {word('b')} AND {word('c')})"),
    ("74", "a OR b AND c", f"(({word('a')} OR {word('b')}) AND {word('c')})"),
    ("74", "a AND b OR c", f"({word('a')} AND ({word('b')} OR {word('c')}))"),
    ("74", "a b c OR d", f"({word('a')} AND {word('b')} AND ({word('c')} OR {word('d')}))"),
    ("74", "(a AND b) OR c", f"(({word('a')} AND {word('b')}) OR {word('c')})"),
    ("74", "(a b) c", f"({word('a')} AND {word('b')} AND {word('c')})"),
    ("74", "( a )", word("a")),
    ("74", "pages=1 sold=2", "(pages = 1 AND sold = 2)"),
    # Rule 75: both negations, which bind tightest.
    ("75", "NOT a", f"NOT {word('a')}"),
    ("75", "-a", f"NOT {word('a')}"),
    ("75", "NOT a OR b", f"(NOT {word('a')} OR {word('b')})"),
    ("75", "-pages=1", "NOT pages = 1"),
    ("75", "NOT (pages = 1 OR pages = 2)", "NOT (pages = 1 OR pages = 2)"),
    ("75", "-(a b)", f"NOT ({word('a')} AND {word('b')})"),
    ("75", "a -b", f"({word('a')} AND NOT {word('b')})"),
    ("75", "a-b", word("a-b")),
    # Rule 76: comparisons, with or without white space.
    ("76", "title = x", "title = 'x'"),
    ("76", "title=x", "title = 'x'"),
    ("76", 'title != "x y"', "title != 'x y'"),
    ("76", "title < 'm'", "title < 'm'"),
    ("76", "pages <= 10", "pages <= 10"),
    ("76", "pages>=10", "pages >= 10"),
    ("76", "sold > 18446744073709551614", "sold > 18446744073709551614"),
    ("76", "lendable = true", "lendable = True"),
    ("76", "lendable != false", "lendable != False"),
    ("76", "binding = HARDCOVER", "binding = 2"),
    ("76", "binding != PAPERBACK", "binding != 1"),
    ("76", 'digest = "AQI="', "digest = b'\\x01\\x02'"),
    ("76", "digest = -_8", "digest = b'\\xfb\\xff'"),
    ("76", "rating > 3", "rating > 3"),
    ("76", "origin = shelves/a", "origin = 'shelves/a'"),
    ("76", '"title" = x', "title = 'x'"),
    # Rule 77: literals.
    ("77", "price = 2.997e9", "price = 2997000000.0"),
    ("77", "price < -1E-3", "price < -0.001"),
    ("77", "weight >= 2", "weight >= 2.0"),
    ("77", "reading_time > 20s", "reading_time > datetime.timedelta(seconds=20)"),
    ("77", "reading_time > 1.2s", f"reading_time > {timedelta(seconds=1, milliseconds=200)!r}"),
    ("77", "reading_time > -0.000001s", f"reading_time > {timedelta(microseconds=-1)!r}"),
    ("77", 'reading_time = "3s"', "reading_time = datetime.timedelta(seconds=3)"),
    ("77", 'publish_time > "2012-04-21T11:30:00-04:00"', f"publish_time > {HALF_PAST_THREE!r}"),
    ("77", "publish_time<2012-04-21T15:30:00.00z AND a", f"(publish_time < {HALF_PAST_THREE!r} AND {word('a')})"),
    ("77", "publish_time = 2012-04-21t15:30:00.25Z", f"publish_time = {HALF_PAST_THREE.replace(microsecond=250000)!r}"),
    # Rule 78: wildcards in equality of strings, and their escape.
    ("78", 'title = "*.foo"', "title ~ '%.foo'"),
    ("78", "title = foo*", "title ~ 'foo%'"),
    ("78", "title != *foo*", "title !~ '%foo%'"),
    ("78", r'title = "100%_\\*"', r"title ~ '100\\%\\_\\\\%'"),
    ("78", r'title = "a\*b"', "title = 'a*b'"),
    ("78", "title < a*", "title < 'a*'"),
    ("78", "labels.a = x*", "labels.a ~ 'x%'"),
    # Rule 79: messages, maps and structs are traversed.
    ("79", "printer.town = Bonn", "printer.town = 'Bonn'"),
    ("79", "printer.country.code = DE", "printer.country.code = 'DE'"),
    ("79", "printer.number > 9007199254740993", "printer.number > 9007199254740993"),
    ("79", "printer.binding = PAPERBACK", "printer.binding = 'PAPERBACK'"),
    ("79", "printer.built < 2020-01-01T00:00:00Z", f"printer.built < {datetime(2020, 1, 1, tzinfo=UTC)!r}"),
    ("79", "labels.color = red", "labels.color = 'red'"),
    ("79", 'labels."odd key.x" = red', "labels.odd key.x = 'red'"),
    ("79", "copies.1999 > 4", "copies.1999 > 4"),
    ("79", "copies.007 = 4", "copies.7 = 4"),
    ("79", "branches.main.town = Bonn", "branches.main.town = 'Bonn'"),
    ("79", "extra.a.b = red", "extra.a.b = 'red'"),
    ("79", "extra.a > 4", "extra.a > 4.0"),
    ("79", "extra.a = true", "extra.a = True"),
    ("79", 'extra.a = "true"', "extra.a = 'true'"),
    # Rule 81: has.
    ("81", "tags:news", "some(tags: @ = 'news')"),
    ("81", "tags:news*", "some(tags: @ ~ 'news%')"),
    ("81", "bindings:HARDCOVER", "some(bindings: @ = 2)"),
    ("81", "reviews.stars:5", "some(reviews: @.stars = 5)"),
    ("81", "reviews.address.town:Bonn", "some(reviews: @.address.town = 'Bonn')"),
    ("81", "reviews.topics:plot", "some(reviews: some(@.topics: @ = 'plot'))"),
    ("81", "reviews.reader:*", "some(reviews: @.reader?)"),
    ("81", "reviews:*", "reviews?"),
    ("81", "tags:*", "tags?"),
    ("81", "printer.aliases:x", "some(printer.aliases: @ = 'x')"),
    ("81", "labels:color", "labels.color?"),
    ("81", "labels.color:*", "labels.color?"),
    ("81", "labels.color:red", "labels.color = 'red'"),
    ("81", "labels:*", "labels?"),
    ("81", "printer:town", "printer.town?"),
    ("81", "printer.town:Bonn", "printer.town = 'Bonn'"),
    ("81", "printer:*", "printer?"),
    ("81", "title:*", "title?"),
    ("81", 'title:"*"', "title ~ '%'"),
    ("81", "pages:4", "pages = 4"),
    ("81", "rating:*", "rating?"),
    ("81", "publish_time:*", "publish_time?"),
    ("81", "extra:a", "extra.a?"),
    ("81", "extra.a:red", "extra.a = 'red'"),
    ("81", "NOT tags:news", "NOT some(tags: @ = 'news')"),
    # Rule 82: bare literals.
    ("82", '"two words"', word("two words")),
    ("82", "example.com", word("example.com")),
    ("82", "42", word("42")),
    ("82", r"'it\'s \u00e9\n'", word("it's é\n")),
    ("82", r'"\*"', word("*")),
    ("82", "wow!", word("wow!")),
    # Rule 85: the traps of the grammar.
    ("85", "price = 9.99", "price = 9.99"),
    ("85", "price=9.99 pages=1", "(price = 9.99 AND pages = 1)"),
    ("85", "reading_time = 1.5s", f"reading_time = {timedelta(seconds=1, milliseconds=500)!r}"),
    ("85", "pages > -30", "pages > -30"),
    ("85", "-30", f"NOT {word('30')}"),
    ("85", "printer.AND = true", "printer.AND = True"),
    ("85", "labels.OR = x AND labels.NOT:*", "(labels.OR = 'x' AND labels.NOT?)"),
    ("85", "title = example.com", "title = 'example.com'"),
    ("85", "title = x.AND", "title = 'x.AND'"),
    ("85", '"AND"', word("AND")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "meaning"), MEANINGS, ids=[f"rule-{r}-{t}" for r, t, _ in MEANINGS])
def test_a_filter_means_what_aip_160_says(rule: str, text: str, meaning: str, book: Resource) -> None:
    assert rendered(parse(text, book)) == meaning


# Rules 73, 76, 79, 81, 83: what is refused, and the words that say why.
REFUSALS = [
    ("73", "titel = x", "position 1: library.v1.Book has no field 'titel'; did you mean title?"),
    ("73", "printer.twon = x", "position 9: library.v1.Address has no field 'twon'; did you mean town?"),
    ("73", "zzz = x", "has no field 'zzz'; its fields are name, uid, title"),
    ("73", "title =", "position 8: expected a value after =, found the end"),
    ("73", "= x", "position 1: expected a field's name, a word or (, found '='"),
    ("73", "a AND", "position 6: expected a field's name, a word or (, found the end"),
    ("73", "AND a", "found 'AND'"),
    ("73", "a OR OR b", "position 6"),
    ("73", "title = OR", 'in quotes, "OR" can be one'),
    ("73", "a AND(b)", "AND needs white space on both sides"),
    ("73", "(a)OR b", "OR needs white space on both sides"),
    ("73", "(a)(b)", "position 4: expected white space, AND or OR, found '('"),
    ("73", '"a""b"', "position 4: expected white space, AND or OR"),
    ("73", "(a", "position 3: expected the ) that closes the ( at position 1, found the end"),
    ("73", "a)", "position 2: expected AND, OR, another term or the end, found ')'"),
    ("73", "()", "position 2: expected a field's name"),
    ("73", "a, b", "found ','"),
    ("73", "a . b", "found '.'"),
    ("73", "printer. town = x", "position 10: expected a field's name after the dot"),
    ("73", "title = a=b", "position 10: expected the end of the value"),
    ("73", "title == b", "expected a value after =, found '='"),
    ("73", 'title = "abc', 'position 9: the string that begins here has no closing "'),
    ("73", "don't", "position 4: the string that begins here has no closing '"),
    ("73", "a \\ b", "position 3: unexpected character '\\\\'; put text that holds it in quotes"),
    ("73", r'"\q"', "position 2: unknown escape"),
    ("73", r'"\u0000"', "U+0000 cannot occur in stored text"),
    ("73", r'"\ud800"', "U+D800 cannot occur in stored text"),
    ("73", "a\0", "position 2: U+0000 cannot occur in stored text"),
    ("73", "a && b", "position 3: && is not known; write AND"),
    ("73", "a || b", "position 3: || is not known; write OR"),
    ("73", "pages = x", "pages is compared with a whole number from -2147483648 to 2147483647, found 'x'"),
    ("73", "pages = 2147483648", "whole number"),
    ("73", "pages = 1.0", "whole number"),
    ("73", 'pages = "1"', "whole number"),
    ("73", "sold = -1", "whole number from 0 to 18446744073709551615"),
    ("73", "price = 1e999", "a number such as"),
    ("73", "price = NaN", "a number such as"),
    ("73", "weight = 3.5e38", "a number such as"),
    ("73", "lendable = TRUE", "lendable is compared with true or false, found 'TRUE'"),
    ("73", 'lendable = "true"', "true or false"),
    ("73", "binding = LEATHER", "one of BINDING_UNSPECIFIED, PAPERBACK, HARDCOVER, found 'LEATHER'"),
    ("73", "digest = é", "base64"),
    ("73", "publish_time > yesterday", "RFC 3339"),
    ("73", "publish_time > 2012-04-21", "RFC 3339"),
    ("73", "publish_time > 2012-02-30T00:00:00Z", "RFC 3339"),
    ("73", "publish_time > 0001-01-01T00:00:00+01:00", "RFC 3339"),
    ("73", "publish_time > 2012-04-21T11:30:00.0000001Z", "in microseconds at the finest"),
    ("73", "publish_time > 2012-04-21T11:30", "put values with such characters in quotes"),
    ("73", "reading_time > 20", "seconds such as 1.5s"),
    ("73", "reading_time > 0.0000001s", "seconds such as 1.5s"),
    ("73", "reading_time > 315576000001s", "seconds such as 1.5s"),
    ("73", "copies.x = 4", "a key of copies is compared with a whole number"),
    ("75", "NOT", "found the end"),
    ("75", "NOT -a", "position 5"),
    ("75", "NOT(a)", "NOT needs white space behind it"),
    ("75", "- a", "`-` stands directly before what it negates"),
    ("76", "lendable < true", "lendable has no order: it is compared with = and !=, not <"),
    ("76", "binding >= PAPERBACK", "binding has no order"),
    ("76", "digest > AQI", "digest has no order"),
    ("76", "4 = pages", "has no field '4'"),
    ("76", "tags = news", "tags is repeated: write tags:value for some element"),
    ("76", "labels = x", "labels is a map: write labels.key = value, or labels:key"),
    ("76", "printer = x", "printer is a message"),
    ("78", "labels:a*", "wildcards stand only in values, not in keys"),
    ("78", "news*", "a bare word is found anywhere in a text as it is"),
    ("79", "reviews.stars = 5", "reviews is repeated: write reviews.stars:value for some element"),
    ("79", "title.length = 5", "title has no fields, so 'length' leads nowhere"),
    ("79", "detail.type_url = x", "detail has no fields"),
    ("81", "reviews:5", "the elements of reviews are messages: write reviews.field:value"),
    ("81", "tags.x:5", "tags has no fields"),
    ("83", "length(title) = 3", "there are no functions; 'length' cannot be called"),
    ("83", "title = upper(x)", "there are no functions; 'upper' cannot be called"),
    ("83", "title = (a OR b)", "a value in parentheses is not known; join comparisons with OR"),
    ("P", "password = x", "password is only accepted, never shown, and cannot be filtered"),
    ("P", "printer.secret = x", "secret is only accepted, never shown, and cannot be filtered"),
    ("P", "etag = x", "etag is computed and cannot be filtered"),
]


@pytest.mark.parametrize(("rule", "text", "why"), REFUSALS, ids=[f"rule-{r}-{t!r}" for r, t, _ in REFUSALS])
def test_a_wrong_filter_is_refused_with_position_and_remedy(
    rule: str, text: str, why: str, book: Resource
) -> None:
    assert why in problem(text, book)


def test_rule_80_a_path_says_what_counts_as_absent(book: Resource) -> None:
    assert path_of("title = x", book).absent == ""
    assert path_of("subtitle = x", book).absent is None  # optional: NULL never matches, not even !=
    assert path_of("publish_time != 2020-01-01T00:00:00Z", book).absent is None
    assert path_of("rating = 1", book).absent is None
    assert path_of("origin = shelves/a", book).absent == ""  # an empty reference is stored as NULL
    assert path_of("printer.town != x", book).absent == ""
    assert path_of("printer.number = 1", book).absent == 0
    assert path_of("printer.floor != 1", book).absent is None
    assert path_of("printer.binding = PAPERBACK", book).absent == "BINDING_UNSPECIFIED"
    assert path_of("binding = PAPERBACK", book).absent == 0
    assert path_of("labels.a != x", book).absent is None  # a key that is not there never matches
    assert path_of("extra.a != x", book).absent is None


def test_rule_79_a_path_says_in_what_form_the_leaf_is_kept(book: Resource) -> None:
    native, nested = path_of("sold = 1", book), path_of("printer.number = 1", book)
    assert (native.in_json, native.bits, native.signed) == (False, 64, False)
    assert (nested.in_json, nested.bits, nested.signed) == (True, 64, True)
    assert path_of("labels.a = x", book).map_key
    assert path_of("labels:a", book).map_key
    assert not path_of("printer.town = x", book).map_key
    assert path_of("extra.a = x", book).dynamic
    assert path_of("extra.a = 4", book).kind is Kind.DOUBLE
    assert path_of("tags:x", book).repeated


def test_rule_81_elements_of_lists_know_whether_they_are_json(book: Resource) -> None:
    tags, reviews = parse("tags:x", book), parse("reviews.stars:4", book)
    assert isinstance(tags, Has)
    assert isinstance(reviews, Has)
    assert isinstance(tags.condition, Compare)
    assert isinstance(reviews.condition, Compare)
    assert (tags.condition.path.field, tags.condition.path.in_json) == (None, False)
    assert (reviews.condition.path.steps, reviews.condition.path.in_json) == (("stars",), True)


def test_rule_82_bare_words_are_refused_where_nothing_can_be_searched(library: Model) -> None:
    shelf = library.resources["library.example.com/Shelf"]
    assert "shelves have no fields to search" in problem("x", shelf)


def reason_of(text: str, book: Resource) -> str:
    with pytest.raises(InvalidArgumentError) as caught:
        parse(text, book)
    return caught.value.violations[0].reason


def test_rule_84_each_limit_has_its_own_violation(book: Resource) -> None:
    deepest = "(" * filter_parser.DEPTH_MAX + "a" + ")" * filter_parser.DEPTH_MAX
    assert parse(deepest, book) is not None
    assert reason_of(f"({deepest})", book) == "FILTER_TOO_DEEP"
    most = " ".join(["a"] * filter_parser.CLAUSES_MAX)
    assert parse(most, book) is not None
    assert reason_of(f"{most} a", book) == "FILTER_TOO_MANY_CLAUSES"
    longest = "a" * filter_parser.LENGTH_MAX
    assert parse(longest, book) is not None
    assert reason_of(f"{longest}a", book) == "FILTER_TOO_LONG"


def test_a_text_is_parsed_once_for_a_resource(book: Resource) -> None:
    assert parse("pages = 17", book) is parse("pages = 17", book)


WORDS = st.sampled_from(
    ["AND", "OR", "NOT", "-", "(", ")", ".", ",", ":", "=", "!=", "<", "*", " ", "title", "pages", "tags", "labels",
     "reviews", "printer", "extra", "publish_time", "x", "9", "1.5s", '"', "'", "\\", "é", "true", "\0", "\u00a0"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=30).map("".join)))
@example('"\\u00')
@example("a:" + "9" * 4000)
@example("reading_time = " + "9" * 4000 + "s")
@example("pages = " + "9" * 4000)
def test_any_text_is_a_filter_or_an_invalid_argument(book: Resource, text: str) -> None:
    fields = {"filter"}
    try:
        parse(text, book)
    except InvalidArgumentError as error:
        fields = {violation.field for violation in error.violations}
    assert fields == {"filter"}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_any_text_in_quotes_is_itself(book: Resource, text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("*", "\\*")
    node = parse(f'title = "{quoted}"', book)
    assert isinstance(node, Compare)
    assert node.value == text
