"""Tables, columns, indexes and policies: what PostgreSQL and the platform can keep."""

from __future__ import annotations

import pytest

from entresol.schema.load import load

SHELF_INDEX = '    indexes: [{fields: ["theme"]}]\n'
BOOK_INDEX = '    indexes: [{fields: ["title", "create_time desc"]}]\n'
SIZE = "int32 size = 13 [(google.api.field_behavior) = OPTIONAL];"
LONG = "x" * 64


def table(name: str) -> tuple[str, str]:
    return SHELF_INDEX, f'    table: "{name}"\n{SHELF_INDEX}'


def shelf(options: str) -> tuple[str, str]:
    return SHELF_INDEX, f"    {options}\n"


def size(options: str, *, name: str = "size") -> tuple[str, str]:
    return SIZE, f"int32 {name} = 13 [(google.api.field_behavior) = OPTIONAL, {options}];"


def column(name: str) -> tuple[str, str]:
    return size(f'(entresol.options.v1.field).column = "{name}"')


@pytest.mark.edits(table("Shelves"))
def test_a_table_is_in_lower_case(mistakes: list[str]) -> None:
    assert "entresol/table Shelf: table 'Shelves' cannot be a table's name" in mistakes


@pytest.mark.edits(table(LONG))
def test_a_table_has_63_bytes(mistakes: list[str]) -> None:
    assert f"entresol/table Shelf: table {LONG!r} cannot be a table's name" in mistakes


@pytest.mark.edits(table("one.two.three"))
def test_a_table_has_one_schema(mistakes: list[str]) -> None:
    assert "entresol/table Shelf: table 'one.two.three' cannot be a table's name" in mistakes


@pytest.mark.edits(table("entresol.shelves"))
def test_the_platforms_own_schema_is_not_for_resources(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/table Shelf: schema 'entresol' is not for resources"]


@pytest.mark.edits(table("books"))
def test_a_table_holds_one_resource(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/table Book: table 'books' is also that of library.v1.Shelf"]


@pytest.mark.edits(table("public.books"))
def test_a_table_in_the_default_schema_is_the_same_table(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/table Book: table 'books' is also that of library.v1.Shelf"]


@pytest.mark.edits(table("news.books"))
def test_a_table_may_be_in_a_schema_of_its_own(library_set: bytes) -> None:
    assert load(library_set).by_table["news.books"].indexes[0].name == "books_theme_idx"


@pytest.mark.edits(column("Size"))
def test_a_column_is_in_lower_case(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/column Book.size: field 'size' has the column 'Size', which cannot be a column's name"
    ]


@pytest.mark.edits((SIZE, SIZE.replace("size", "parent")))
def test_a_column_is_not_the_parent(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/column Book.parent: field 'parent' has the column 'parent', which every table has already"
    ]


@pytest.mark.edits(column("xmin"))
def test_a_column_is_none_of_postgresqls_own(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/column Book.size: field 'size' has the column 'xmin', which every table has already"
    ]


@pytest.mark.edits((SIZE, SIZE.replace("size", "row_version")))
def test_a_column_is_not_the_row_version(mistakes: list[str]) -> None:
    problem = "field 'row_version' has the column 'row_version', which every table has already"
    assert mistakes == [f"entresol/column Book.row_version: {problem}"]


@pytest.mark.edits(column("name"))
def test_a_column_is_not_the_name(mistakes: list[str]) -> None:
    assert (
        "entresol/column Book.size: field 'size' has the column 'name', which every table has already"
        in mistakes
    )


@pytest.mark.edits(column("title"))
def test_a_column_holds_one_field(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/column Book.size: field 'size' has the column 'title', as field 'title' has"
    ]


@pytest.mark.edits(column("TITLE"))
def test_columns_differ_in_more_than_case(mistakes: list[str]) -> None:
    assert "entresol/column Book.size: field 'size' has the column 'TITLE', as field 'title' has" in mistakes


@pytest.mark.edits(size('(entresol.options.v1.field).column = "parent_title"', name="parent"))
def test_a_reserved_field_name_needs_a_column_of_another_name(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(size('(entresol.options.v1.field).column_type = "int; drop table books"'))
def test_a_column_type_is_a_type(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/column Book.size: column_type 'int; drop table books' is not a type"]


@pytest.mark.edits(size('(entresol.options.v1.field).column_type = "uuid"'))
def test_a_column_type_holds_the_values_of_its_field(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/column Book.size: column_type 'uuid' cannot hold the values of a field of kind int"
    ]


@pytest.mark.edits(size('(entresol.options.v1.field).column_type = "citext"'))
def test_a_column_type_of_an_extension_is_not_judged(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(size('(entresol.options.v1.field).column_type = "numeric(10,2)"'))
def test_a_column_type_replaces_the_mapping(library_set: bytes) -> None:
    size_field = load(library_set).by_table["books"].by_name["size"]
    assert size_field.column is not None
    assert size_field.column.type == "numeric(10,2)"


@pytest.mark.edits(("string etag = 12;", 'string etag = 12 [(entresol.options.v1.field).column = "etag"];'))
def test_the_etag_has_no_column(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/column Book.etag: has no column"]


@pytest.mark.edits(
    (
        "IDENTIFIER];\n  string theme",
        'IDENTIFIER, (entresol.options.v1.field).column = "title"];\n  string theme',
    )
)
def test_the_name_has_a_column_that_cannot_be_chosen(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/column Shelf.name: has a column that cannot be chosen"]


@pytest.mark.edits(shelf('server_columns: [{name: "theme" type: "text"}]'))
def test_a_server_column_differs_from_the_fields(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/column Shelf: server column 1 has the column 'theme', as field 'theme' has"]


@pytest.mark.edits(shelf('server_columns: [{name: "note" type: "text" default: "now()"}]'))
def test_a_default_is_a_constant(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/column Shelf: server column 'note' has the default 'now()'"]


@pytest.mark.edits(shelf('server_columns: [{name: "note"}]'))
def test_a_server_column_has_a_type(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/column Shelf: server column 'note' has the type ''"]


TWO_COLUMNS = """
  {name: "note" type: "jsonb" default: "'{}'::jsonb"},
  {name: "rank" type: "double precision"}
"""


@pytest.mark.edits(shelf(f"server_columns: [{TWO_COLUMNS}]"))
def test_server_columns_with_a_default_hold_no_null(library_set: bytes) -> None:
    columns = load(library_set).by_table["shelves"].server_columns
    assert [(one.name, one.nullable, one.default) for one in columns] == [
        ("note", False, "'{}'::jsonb"),
        ("rank", True, None),
    ]


@pytest.mark.edits(shelf('indexes: [{fields: ["color"]}]'))
def test_an_index_is_over_fields_that_exist(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/index Shelf: index over 'color': there is no such field"]


@pytest.mark.edits(
    (
        BOOK_INDEX,
        '    indexes: [{fields: ["title"]}, {fields: ["title", "create_tme desc"]}, {fields: ["tilte"]}]\n',
    )
)
def test_a_misspelt_field_of_an_index_is_one_mistake(mistakes: list[str]) -> None:
    assert mistakes == [
        f"entresol/index Book: index over '{name}': there is no such field"
        for name in ("create_tme", "tilte")
    ]


@pytest.mark.edits(shelf('indexes: [{fields: ["color"] name: "books"}]'))
def test_a_name_that_was_chosen_is_checked_whatever_the_fields(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/index Shelf: index name 'books' is also that of table 'books'",
        "entresol/index Shelf: index over 'color': there is no such field",
    ]


@pytest.mark.edits((BOOK_INDEX, '    indexes: [{fields: ["etag"]}]\n'))
def test_an_index_is_over_fields_that_are_stored(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/index Book: index over 'etag': the field is computed and has no column"]


@pytest.mark.edits((BOOK_INDEX, '    indexes: [{fields: ["annotations"]}, {fields: ["labels"]}]\n'))
def test_an_index_is_over_plain_values(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/index Book: index over 'annotations': no order helps to find in it",
        "entresol/index Book: index over 'labels': no order helps to find in it",
    ]


@pytest.mark.edits(shelf("indexes: [{}]"))
def test_an_index_has_a_field(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/index Shelf: has an index over no field"]


@pytest.mark.edits(shelf('indexes: [{fields: ["theme", "theme desc"]}]'))
def test_an_index_has_each_field_once(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/index Shelf: an index has the field 'theme' twice"]


@pytest.mark.edits(shelf('indexes: [{fields: ["theme"]}, {fields: ["theme desc"]}]'))
def test_indexes_have_different_names(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/index Shelf: index name 'shelves_theme_idx' is also that of an index of library.v1.Shelf"
    ]


@pytest.mark.edits(shelf('indexes: [{fields: ["theme"] name: "books"}]'))
def test_an_index_is_not_named_like_a_table(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/index Shelf: index name 'books' is also that of table 'books'"]


@pytest.mark.edits(shelf(f'indexes: [{{fields: ["theme"] name: "{LONG}"}}]'))
def test_an_index_name_has_63_bytes(mistakes: list[str]) -> None:
    assert mistakes == [f"entresol/index Shelf: index name {LONG!r} cannot be a name"]


@pytest.mark.edits(('search_fields: ["title"]', 'search_fields: ["size", "labels", "color"]'))
def test_search_fields_are_strings(mistakes: list[str]) -> None:
    names = ("color", "labels", "size")
    assert mistakes == [
        f"entresol/search Book: search field {name!r} is not a string of the message" for name in names
    ]


@pytest.mark.edits(shelf("cache: {ttl: {seconds: -1} negative_ttl: {}}"))
def test_entries_live_for_a_while(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/cache Shelf: cache.negative_ttl is 0 seconds",
        "entresol/cache Shelf: cache.ttl is -1 seconds",
    ]


@pytest.mark.edits(shelf("cache: {unfenced_writes: 99}"))
def test_what_a_write_does_without_redis_is_known(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/options Shelf: cache.unfenced_writes 99 is unknown"]


@pytest.mark.edits(shelf("cache: {unfenced_writes: UNFENCED_WRITES_ALLOW}"))
def test_only_writes_that_would_be_fenced_may_go_without(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/cache Shelf: cache.unfenced_writes is given, and nothing fences the writes"]


@pytest.mark.edits(
    shelf("consistency: CONSISTENCY_STRONG cache: {disabled: true unfenced_writes: UNFENCED_WRITES_REFUSE}")
)
def test_what_is_not_cached_is_not_fenced(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/cache Shelf: cache.unfenced_writes is given, and nothing fences the writes"]


@pytest.mark.edits(shelf("consistency: CONSISTENCY_STRONG cache: {unfenced_writes: UNFENCED_WRITES_ALLOW}"))
def test_a_strong_resource_says_what_its_writes_do_without_redis(mistakes: list[str]) -> None:
    assert mistakes == []


@pytest.mark.edits(shelf("default_page_size: 2000"))
def test_the_default_page_is_not_above_the_largest(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/page-size Shelf: default_page_size 2000 is above max_page_size 1000"]


@pytest.mark.edits(shelf("max_page_size: -5"))
def test_pages_hold_something(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/page-size Shelf: a page size is negative"]


@pytest.mark.edits(("soft_delete: {}", "soft_delete: {retention: {seconds: 0}}"))
def test_deleted_records_are_kept_for_a_while(mistakes: list[str]) -> None:
    assert mistakes == ["entresol/soft-delete Book: soft_delete.retention is 0 seconds"]


@pytest.mark.edits(shelf("consistency: 99 id_source: 99"))
def test_choices_are_known(mistakes: list[str]) -> None:
    assert mistakes == [
        "entresol/options Shelf: consistency 99 is unknown",
        "entresol/options Shelf: id_source 99 is unknown",
    ]
