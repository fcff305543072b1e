"""The texts of statements: nothing a caller sends is ever in them, and what names a column is quoted."""

from __future__ import annotations

import re

import pytest
from tests.integration.storage.zoo import zoo_model

from entresol.schema.filter_ast import Compare, FieldPath, Operator
from entresol.schema.filters import parse
from entresol.schema.model import Kind, Model
from entresol.schema.orders import parse_order
from entresol.storage.rows import RowCodec
from entresol.storage.sql import Statement, TableSql, parse_position
from entresol.storage.sql_filter import Parameters, condition_of, escape_like
from entresol.storage.sql_page import ListQuery, select_page

EVIL = "x'); DROP TABLE zoos; --\"$1"


@pytest.fixture(scope="module")
def zoo() -> Model:
    return zoo_model()


def table(zoo: Model, type_: str) -> TableSql:
    return TableSql(RowCodec(zoo.resources[f"zoo.example.com/{type_}"]))


def placeholders(statement: Statement) -> set[int]:
    return {int(number) for number in re.findall(r"\$(\d+)", statement.text)}


def test_names_are_values_of_their_own_where_they_are_few_and_texts_are_few(zoo: Model) -> None:
    cages = table(zoo, "Cage")
    names = [f"zoos/a/cages/{number}" for number in range(40)]
    read = 'SELECT name, "order", row_version FROM public.cages WHERE name = ANY({})'
    assert cages.select_by_names(names[:1]) == Statement(read.format("ARRAY[$1]"), (names[0],))
    assert cages.select_by_names(names[:3]) == Statement(
        read.format("ARRAY[$1, $2, $3, $4]"), (*names[:3], names[2])
    )
    assert cages.select_by_names(names[:17]) == Statement(read.format("$1"), (names[:17],))
    assert cages.select_by_names([]) == Statement(read.format("$1"), ([],))
    assert len({cages.select_by_names(names[:count]).text for count in range(41)}) == 6


def test_an_update_names_its_columns_in_the_tables_order_whatever_the_masks(zoo: Model) -> None:
    specimens = table(zoo, "Specimen")
    by_name = specimens.resource.by_name
    codec = specimens.codec
    wanted = [by_name[name] for name in ("diet", "string_field", "name", "etag", "diet")]
    fields = codec.update_fields(wanted)
    statement = specimens.update("specimens/a", 7, fields, ["ape", 1])
    assert "SET string_field = $2, diet = $3 WHERE name = $1 AND row_version = $4" in statement.text
    assert statement.parameters == ("specimens/a", "ape", 1, 7)


def test_times_of_the_record_are_the_transactions_and_no_parameters(zoo: Model) -> None:
    houses = table(zoo, "House")
    assert "update_time" in houses.insert
    assert placeholders(Statement(houses.insert)) == {1}
    assert houses.undelete("houses/a", None).text.count("now()") == 1


@pytest.mark.parametrize(
    "text",
    [
        "string_field = {}",
        "string_field != {}",
        "strings:{}",
        "labels.{} = {}",
        "part.label = {}",
        "part.words:{}",
        "parts.label:{}",
        "parts_by_name.{}.label = {}",
        "extra.{} = {}",
        "{}",
        "NOT (string_field < {} OR labels:{})",
    ],
)
def test_no_value_of_a_filter_is_in_the_text(text: str, zoo: Model) -> None:
    specimens = table(zoo, "Specimen")
    quoted = '"' + EVIL.replace("\\", "\\\\").replace('"', '\\"') + '"'
    texts = []
    for value in (quoted, '"plain"'):
        filter_ = parse(text.replace("{}", value), specimens.resource)
        query = ListQuery(parent="zoos/a", filter=filter_, limit=7, after=("specimens/a",), skip=3)
        statement = select_page(specimens, query)
        assert placeholders(statement) == set(range(1, len(statement.parameters) + 1))
        texts.append(statement.text)
    assert texts[0] == texts[1]
    assert "DROP" not in texts[0]


def test_a_page_compares_whole_rows_of_mixed_directions_and_bounds_the_first(zoo: Model) -> None:
    specimens = table(zoo, "Specimen")
    order = parse_order("diet, optional_string desc", specimens.resource)
    statement = select_page(specimens, ListQuery(order=order, after=(1, "x", "specimens/a"), limit=10))
    condition = statement.text.partition(" WHERE ")[2]
    assert condition == (
        "diet >= $1 AND (diet > $1 OR (diet = $1 AND (optional_string < $2 OR (optional_string = $2"
        " AND name > $3)))) ORDER BY diet, optional_string DESC, name LIMIT $4"
    )
    assert statement.parameters == (1, "x", "specimens/a", 11)


def test_a_page_after_null_goes_on_with_what_is_smaller_or_has_a_later_name(zoo: Model) -> None:
    specimens = table(zoo, "Specimen")
    for text, condition in (
        ("time_field", "(false OR (time_field IS NULL AND name > $1))"),
        ("time_field desc", "(time_field IS NOT NULL OR (time_field IS NULL AND name > $1))"),
    ):
        order = parse_order(text, specimens.resource)
        statement = select_page(specimens, ListQuery(order=order, after=(None, "specimens/a")))
        assert f" WHERE {condition} ORDER BY" in statement.text


def test_equality_leaves_the_column_bare_so_that_an_index_serves(zoo: Model) -> None:
    field = zoo.resources["zoo.example.com/Animal"].by_name["keeper"]
    path = FieldPath(field, (), Kind.STRING, absent="")
    parameters = Parameters()
    assert condition_of(Compare(path, Operator.EQUAL, "keepers/k"), parameters) == "keeper = $1"
    unequal = condition_of(Compare(path, Operator.NOT_EQUAL, "keepers/k"), parameters)
    assert unequal == "coalesce(keeper, $2) <> $3"


def test_signs_of_like_in_a_searched_word_stand_for_themselves() -> None:
    assert escape_like(r"50%_\x") == r"50\%\_\\x"


def test_a_position_is_two_halves() -> None:
    assert parse_position("16/B374D848") == 0x16_B374D848
    assert parse_position("0/0") == 0
