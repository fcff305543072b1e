"""`check`, `plan` and `migrate`: from a proto to tables, with every step in JSON too."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tests.integration.cli.conftest import ROOT, Cli

from entresol.errors import MigrationError, SchemaError


@pytest.fixture
def protos(tmp_path: Path) -> Path:
    """Give a copy of the protos, for tests that change them."""
    return Path(shutil.copytree(ROOT / "protos", tmp_path / "changed"))


def change(protos: Path, file: str, pattern: str, by: str) -> str:
    path = protos / "stories" / "v1" / file
    text, times = re.subn(pattern, by, path.read_text())
    assert times
    path.write_text(text)
    return str(protos)


def test_check_counts_what_it_found(cli: Cli) -> None:
    assert cli.run("check").stdout == "no mistakes: 5 resources, 5 services\n"
    facts = cli.json("check")
    assert facts["ok"] is True
    assert "stories.entresol.dev/Story" in facts["resources"]
    assert "stories.v1.StoryService" in facts["services"]


def test_check_tells_every_mistake_with_its_place(cli: Cli, protos: Path) -> None:
    change(protos, "user.proto", r'"users/\{user\}"', '"users/{user_id}"')
    path = change(protos, "story.proto", r"score desc", "nothing desc")
    error = cli.run("check", "--protos", path, fails=True).exception
    assert isinstance(error, SchemaError)
    assert {mistake.file.rpartition("/")[2] for mistake in error.mistakes} >= {"user.proto", "story.proto"}
    facts = json.loads(cli.run("check", "--protos", path, "--json", fails=True).stdout)
    assert facts["ok"] is False
    assert len(facts["mistakes"]) == len(error.mistakes)
    assert set(facts["mistakes"][0]) == {"file", "line", "rule", "element", "problem", "remedy"}
    assert all(mistake["line"] > 0 for mistake in facts["mistakes"])


def test_check_against_earlier_protos_refuses_what_breaks_their_users(cli: Cli, protos: Path) -> None:
    path = change(protos, "story.proto", r"int32 score = 7", "int64 score = 7")
    before = str(ROOT / "protos")
    assert "score" in str(cli.run("check", "--protos", path, "--against", before, fails=True).exception)
    assert cli.json("check", "--protos", before, "--against", before)["ok"] is True


def test_plan_and_migrate_bring_an_empty_database_to_the_protos(bare: Cli) -> None:
    planned = bare.json("plan")
    assert planned["refused"] == planned["files"] == []
    assert "CREATE TABLE public.stories" in "\n".join(planned["sql"])
    assert "CREATE TABLE public.stories" in bare.run("plan").stdout
    pending = [item["name"] for item in bare.json("migrate", "--dry-run")]
    assert bare.rows("SELECT to_regclass('stories')") == [(None,)]
    assert "system/0001_platform" in bare.run("migrate", "--dry-run").stdout
    assert [item["name"] for item in bare.json("migrate")] == pending
    assert pending[0] == "0001_platform.sql"
    assert bare.run("plan").stdout == "nothing to do: the database has what the protos ask for\n"
    assert bare.json("plan")["sql"] == []


def test_migrate_applies_each_file_once_and_lists_them(cli: Cli) -> None:
    assert cli.run("migrate").stdout == "nothing to apply\n"
    assert cli.json("migrate") == []
    states = cli.json("migrate", "--status")
    assert {state["state"] for state in states} == {"applied"}
    assert all(state["applied_time"] for state in states)
    assert "stories/0001_stories" in cli.run("migrate", "--status").stdout


def test_migrate_refuses_a_file_that_was_changed_after_it_was_applied(cli: Cli) -> None:
    folder = shutil.copytree(ROOT / "migrations", cli.folder / "migrations")
    (folder / "stories" / "0001_stories.sql").write_text("SELECT 1;\n")
    error = cli.run("migrate", "--migrations", str(folder), fails=True).exception
    assert isinstance(error, MigrationError)
    assert "0001_stories" in error.message


def test_plan_writes_what_is_missing_to_a_file_that_migrate_applies(cli: Cli, protos: Path) -> None:
    path = change(
        protos, "story.proto", r"  // Who posted it\.", "  // How long it is.\n  int32 words = 18;\n  // Who."
    )
    change(
        protos,
        "story.proto",
        r"int32 words = 18",
        "int32 words = 18 [(google.api.field_behavior) = OPTIONAL]",
    )
    folder = cli.folder / "migrations" / "words"
    written = cli.run("plan", "--protos", path, "--write", str(folder), "--title", "words").stdout
    assert "read it, then run `entresol migrate`" in written
    (file,) = folder.iterdir()
    assert "ADD COLUMN" in file.read_text()
    assert [item["name"] for item in cli.json("migrate", "--migrations", str(folder.parent))] == [file.name]
    assert cli.json("plan", "--protos", path) == {"sql": [], "refused": [], "files": []}


def test_plan_refuses_what_is_no_addition_and_says_how_it_is_done(cli: Cli, protos: Path) -> None:
    path = change(protos, "story.proto", r"int32 score = 7", "int64 score = 7")
    result = cli.run("plan", "--protos", path, fails=True)
    assert isinstance(result.exception, MigrationError)
    assert "score" in result.exception.message
    facts = json.loads(cli.run("plan", "--protos", path, "--json", fails=True).stdout)
    assert any("score" in text for text in facts["refused"])


def test_generate_writes_a_client_of_every_service(cli: Cli) -> None:
    written = cli.run("generate", "python", "--out", "client").stdout.splitlines()
    assert all(line.startswith("wrote client") for line in written)
    assert any(path.name == "story_service.py" for path in (cli.folder / "client").rglob("*.py"))
