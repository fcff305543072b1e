"""Linting protos with buf: the folder's own rules, or ours, and never the imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.codegen.lint import lint
from entresol.errors import ConfigurationError, SchemaError

PROTOS = Path(__file__).parents[3] / "protos"
NOTE = """\
// Notes.
syntax = "proto3";

package note.v1;

import "buf/validate/validate.proto";

// A note.
message Note {
  // Its text.
  string Text = 1 [(buf.validate.field).string.max_len = 5];
}
"""


def note(folder: Path, text: str = NOTE) -> Path:
    (folder / "note/v1").mkdir(parents=True)
    (folder / "note/v1/note.proto").write_text(text, encoding="utf-8")
    return folder


def test_the_protos_of_this_repository_are_clean() -> None:
    assert lint(PROTOS) == ()


def test_a_finding_has_file_line_and_rule(tmp_path: Path) -> None:
    found = lint(note(tmp_path))
    assert [(one.file, one.line, one.rule) for one in found] == [
        ("note/v1/note.proto", 11, "FIELD_LOWER_SNAKE_CASE")
    ]


def test_a_folder_may_have_its_own_rules(tmp_path: Path) -> None:
    (tmp_path / "buf.yaml").write_text(
        "version: v2\nlint:\n  use: [PACKAGE_DIRECTORY_MATCH]\n", encoding="utf-8"
    )
    assert lint(note(tmp_path)) == ()


def test_rules_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "buf.yaml").write_text("version: v9\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="buf lint cannot run"):
        lint(note(tmp_path))


def test_protos_that_do_not_compile_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SchemaError):
        lint(note(tmp_path, "nonsense"))
