"""The rejects file has each bad row once, whatever was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.cli.imports.rejects import Reject, Rejects, rejects_of
from entresol.errors import (
    AlreadyExistsError,
    ConfigurationError,
    InvalidArgumentError,
    NotFoundError,
    Violation,
)


def test_rejects_are_written_below_one_header(tmp_path: Path) -> None:
    rejects = Rejects(tmp_path / "rejects.csv")
    rejects.keep(0)
    assert not rejects.path.exists()
    rejects.add([Reject(2, "title", "is required"), Reject(2, "pages", 'a "quote",\nand a line')])
    rejects.write()
    rejects.add([Reject(5, "", "half \udcff")])
    rejects.write()
    assert rejects.path.read_text() == (
        'line,field,problem\n2,title,is required\n2,pages,"a ""quote"",\nand a line"\n5,,half \\udcff\n'
    )
    assert rejects.count == 2


def test_what_was_never_committed_is_dropped_when_the_import_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    first = Rejects(path)
    first.add([Reject(2, "title", "two\nlines"), Reject(2, "pages", "x")])
    first.add([Reject(4, "title", "y"), Reject(7, "title", "not committed")])
    first.write()
    again = Rejects(path)
    again.keep(4)
    assert again.count == 2
    assert path.read_text() == 'line,field,problem\n2,title,"two\nlines"\n2,pages,x\n4,title,y\n'


@pytest.mark.parametrize("cut", ["1", "12", "123,ti", '12,title,"half a', "12,title,\udcc3"])
def test_half_a_row_that_a_killed_process_left_is_dropped(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "rejects.csv"
    path.write_bytes(b"line,field,problem\n2,title,x\n" + cut.encode(errors="surrogateescape"))
    rejects = Rejects(path)
    rejects.keep(10)
    assert (rejects.count, path.read_text()) == (1, "line,field,problem\n2,title,x\n")


def test_an_import_that_begins_anew_begins_with_no_rejects(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    path.write_text("line,field,problem\n2,title,of another file\n")
    Rejects(path).keep(0)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be written: .*; name another with --rejects"):
        Rejects(tmp_path / "nowhere" / "rejects.csv").keep(0)


def test_an_error_becomes_rejects_with_the_fields_it_names() -> None:
    wrong = InvalidArgumentError([Violation("title", "is required"), Violation("pages", "is bad")])
    assert rejects_of(3, wrong) == [Reject(3, "title", "is required"), Reject(3, "pages", "is bad")]
    assert rejects_of(3, NotFoundError("shelves/a")) == [Reject(3, "name", "shelves/a does not exist")]
    taken = AlreadyExistsError("another book already has this isbn", metadata={"fields": "isbn"})
    assert rejects_of(3, taken)[0].field == "isbn"
