"""Migrations as files: statements, headers, lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.errors import MigrationError
from entresol.storage.migration import Migration, read_folders, split_statements

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ;; -- nothing\n ;", []),
        ("SELECT 1; SELECT 2", ["SELECT 1;", "SELECT 2"]),
        (
            "SELECT ';', \"a;b\", e'\\';', 'it''s;'; SELECT 2;",
            ["SELECT ';', \"a;b\", e'\\';', 'it''s;';", "SELECT 2;"],
        ),
        ("-- a; b\n/* c; d */ SELECT 1; -- e;\n", ["SELECT 1;"]),
        (
            "DO $$ BEGIN; END $$; SELECT $tag$ ; $$ ; $tag$;",
            ["DO $$ BEGIN; END $$;", "SELECT $tag$ ; $$ ; $tag$;"],
        ),
        ("SELECT $1; SELECT a$b$c;", ["SELECT $1;", "SELECT a$b$c;"]),
        ("SELECT 1 -- ; inside\n + 2;", ["SELECT 1 -- ; inside\n + 2;"]),
    ],
)
def test_statements_end_at_semicolons_that_are_no_text(text: str, statements: list[str]) -> None:
    assert split_statements(text) == statements


@pytest.mark.parametrize(
    ("text", "in_transaction"),
    [
        ("SELECT 1;", True),
        ("-- entresol: no transaction\nSELECT 1;", False),
        ("\n-- About it.\n-- entresol: no transaction\nSELECT 1;", False),
        ("SELECT 1;\n-- entresol: no transaction\n", True),
    ],
)
def test_the_head_of_a_file_says_whether_it_is_one_transaction(text: str, in_transaction: bool) -> None:
    assert Migration("f", "0001_a.sql", text).in_transaction is in_transaction


def test_a_line_is_found_by_statement_and_position() -> None:
    migration = Migration("f", "0001_a.sql", "SELECT 1;\n\nSELECT 2\n, nonsense;")
    assert migration.line_of("SELECT 2\n, nonsense;", 12) == 4
    assert migration.line_of("not there") == 1


def test_the_committed_migrations_can_be_read_and_bound_their_locks() -> None:
    migrations = read_folders([ROOT / "migrations" / "system", ROOT / "migrations" / "stories"])
    assert all("COMMIT" not in statement for one in migrations for statement in one.statements)
    with pytest.raises(MigrationError, match="is not a folder"):
        read_folders([ROOT / "nowhere"])
