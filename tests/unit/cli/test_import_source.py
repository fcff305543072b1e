"""Rows of a file keep their lines, and one that is broken takes no other along."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from entresol.cli.imports import batches
from entresol.cli.imports import source as source_module
from entresol.cli.imports.source import Source
from entresol.errors import ConfigurationError

Make = Callable[..., Source]


def lines(source: Source) -> list[tuple[int, Any]]:
    return [(row.line, row.problem or dict(row.values)) for row in source.rows()]


def test_a_row_of_csv_is_told_by_the_line_it_begins_on(source: Make) -> None:
    made = source('a,b\n1,2\n"two\nlines",3\n\n"x\r\n\r\ny",4\n5,6')
    assert lines(made) == [
        (2, {"a": "1", "b": "2"}),
        (3, {"a": "two\nlines", "b": "3"}),
        (6, {"a": "x\r\n\r\ny", "b": "4"}),
        (9, {"a": "5", "b": "6"}),
    ]
    assert made.check() == 9


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_end_of_line_will_do(source: Make, end: str) -> None:
    made = source(end.join(["a,b", "1,2", "3,4", ""]))
    assert lines(made) == [(2, {"a": "1", "b": "2"}), (3, {"a": "3", "b": "4"})]


def test_a_byte_order_mark_belongs_to_no_column(source: Make) -> None:
    assert source(b"\xef\xbb\xbfa,b\n1,2\n").columns() == ("a", "b")
    assert lines(source(b'\xef\xbb\xbf{"a": 1}\n', "rows.ndjson")) == [(1, {"a": 1})]


def test_a_row_with_another_number_of_cells_says_how_many(source: Make) -> None:
    made = source("a,b\n1\n1,2,3\n1,2\n")
    assert lines(made) == [
        (2, "has 1 cells, the header has 2"),
        (3, "has 3 cells, the header has 2"),
        (4, {"a": "1", "b": "2"}),
    ]


def test_broken_utf_8_is_told_with_its_column(source: Make) -> None:
    made = source(b"a,b\n1,\xff\n\xc3\xa9,2\n")
    first, second = made.rows()
    assert (first.line, first.problem, first.column) == (2, "is not valid UTF-8", "b")
    assert second.values == {"a": "é", "b": "2"}
    assert lines(source(b'{"a": "\xff"}\n{"a": 1}\n', "rows.ndjson")) == [
        (1, "is not valid UTF-8"),
        (2, {"a": 1}),
    ]


def test_a_quote_inside_of_a_quoted_cell_is_the_problem_of_its_row(source: Make) -> None:
    made = source('a,b\n1,"say "hello" twice"\n1,"say ""hello"""\n')
    assert lines(made) == [
        (2, "has a quote inside of a quoted cell; write it twice"),
        (3, {"a": "1", "b": 'say "hello"'}),
    ]


def test_a_quote_that_is_never_closed_is_found_before_anything_is_loaded(source: Make) -> None:
    made = source('a,b\n1,2\n"3,4\n5,6\n')
    with pytest.raises(ConfigurationError, match=r"rows\.csv:3: a quote is opened and never closed"):
        made.check()


def test_a_large_cell_is_read_and_one_beyond_the_bound_is_found_first(
    source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [len(row.values["a"]) for row in source(f"a,b\n{'x' * 1_000_000},2\n").rows()] == [1_000_000]
    monkeypatch.setattr(source_module, "SIZE_MAX", 1024 * 1024)
    with pytest.raises(ConfigurationError, match=r"rows\.csv:3: a cell has more than 1 MiB"):
        source(f"a,b\n1,2\n{'x' * 1_100_000},2\n").check()


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"])
def test_an_empty_file_holds_no_rows(source: Make, content: str) -> None:
    for name in ("rows.csv", "rows.ndjson"):
        with pytest.raises(ConfigurationError, match="holds no rows"):
            source(content, name).check()


def test_a_header_alone_is_a_file_without_rows(source: Make) -> None:
    made = source("a,b\n")
    assert (made.columns(), made.check(), lines(made)) == (("a", "b"), 0, [])


def test_a_header_that_nobody_could_map_is_refused(source: Make) -> None:
    with pytest.raises(ConfigurationError, match="two columns are called a"):
        source("a,b,a\n1,2,3\n").check()
    with pytest.raises(ConfigurationError, match="the header is not valid UTF-8"):
        source("a,b\n1,2\n".encode("utf-16")).check()


def test_a_line_of_ndjson_that_is_no_object_is_told(source: Make) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    made = source(
        f'{{"a": 1}}\n\nnothing\n[1]\n{{"a": 1, "a": 2}}\n{{"a": {deep}}}\n{{"a": 2}}', "rows.ndjson"
    )
    told = dict(lines(made))
    assert told[1] == {"a": 1}
    assert told[7] == {"a": 2}
    assert told[3].startswith("is not JSON: Expecting value at column 1")
    assert told[4] == "is not a JSON object"
    assert "twice" in told[5]
    assert told[6].startswith("is not JSON that can be read")


def test_a_line_of_ndjson_beyond_the_bound_is_skipped(source: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "SIZE_MAX", 1024 * 1024)
    rows = [{"a": 1}, {"a": "x" * 3_500_000}, {"a": 2}]
    made = source("\n".join(map(json.dumps, rows)), "rows.jsonl")
    assert lines(made) == [(1, {"a": 1}), (2, "has more than 1 MiB"), (3, {"a": 2})]


def test_a_column_may_begin_in_any_row_of_ndjson(source: Make) -> None:
    made = source('{"a": 1}\n{"a": 1, "b": 2}\n', "rows.ndjson")
    assert made.lacking({"a", "b", "c"}) == {"c"}
    assert source("a,b\n1,2\n").lacking({"a", "b", "c"}) == {"c"}


def test_the_same_content_has_the_same_digest_wherever_it_is(source: Make) -> None:
    first, second, third = (
        source("a\n1\n", "one.csv"),
        source("a\n1\n", "two.csv"),
        source("a\n2\n", "three.csv"),
    )
    assert first.digest() == second.digest() != third.digest()


def test_a_batch_of_large_rows_ends_early(
    source: Make, book: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from entresol.cli.imports.mapping import parse_mapping
    from entresol.clock import Identifiers

    monkeypatch.setattr(batches, "SIZE_MAX", 50)
    made = source("name,title\n" + "".join(f"shelves/a/books/{n},t\n" for n in range(10)))
    sources = parse_mapping((), book, made)
    reader = batches.BatchReader.of(made, book, sources, model, Identifiers(), 1000)
    assert [len(batch.candidates) for batch in reader.batches(0)] == [3, 3, 3, 1]
    assert [batch.line for batch in reader.batches(5)] == [8, 11]
