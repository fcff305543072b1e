"""`check`, `plan` and `migrate`: from a proto to tables, with every step in JSON too."""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from pathlib import Path

import pytest
from tests.integration.cli.conftest import ROOT, Cli

from entresol.errors import ConfigurationError, MigrationError, SchemaError
from entresol.storage.plan import NO_TRANSACTION, next_file


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
    assert cli.run("check").stdout == "no mistakes: 7 resources, 10 services\n"
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


def test_migrate_tells_what_the_protos_ask_for_and_no_migration_makes(bare: Cli, tmp_path: Path) -> None:
    none = ("--migrations", str(tmp_path / "none"))
    first, again = (bare.run("migrate", *none) for _ in range(2))
    assert first.stdout.startswith("system/0001_platform.sql: applied\n")
    assert again.stdout == "nothing to apply\n"
    for done in (first, again):
        assert "no migration makes this yet: table public.referrers is missing; " in done.stderr
        assert done.stderr.endswith(f"run `entresol plan --write {tmp_path}/none/stories --title stories`\n")
    assert json.loads(bare.run("migrate", "--json", *none).stdout) == []
    bare.run("migrate")
    assert bare.run("migrate").stderr == ""


def test_migrate_needs_no_protos(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for protos in ("nowhere", str(ROOT / "migrations")):
        monkeypatch.setattr(Cli, "environment", {**cli.environment, "ENTRESOL_PROTOS": protos})
        assert cli.run("migrate").output == "nothing to apply\n"


def test_plan_refuses_what_is_no_addition_and_says_nothing_else(cli: Cli, protos: Path) -> None:
    path = change(protos, "story.proto", r"int32 score = 7", "int64 score = 7")
    for arguments in ((), ("--write", "migrations/stories")):
        result = cli.run("plan", "--protos", path, *arguments, fails=True)
        assert isinstance(result.exception, MigrationError)
        assert result.exception.message.startswith("public.stories.score: the column is integer, ")
        assert result.output == ""
    assert not (cli.folder / "migrations").exists()
    facts = json.loads(cli.run("plan", "--protos", path, "--json", fails=True).stdout)
    assert any("score" in text for text in facts["refused"])


def test_what_a_server_says_of_a_changed_type_leads_to_the_steps(cli: Cli, protos: Path) -> None:
    path = change(protos, "story.proto", r"int32 score = 7", "int64 score = 7")
    error = cli.run("serve", "--protos", path, "--listen", "127.0.0.1:0", fails=True).exception
    assert isinstance(error, ConfigurationError)
    assert "public.stories.score: the column is integer, the model wants bigint" in error.message
    assert error.message.endswith("; `entresol plan` tells the steps to what it writes no migration for")
    assert "migrate`" not in error.message
    change(
        protos,
        "story.proto",
        r"  // Who posted it\.",
        "  // Its words.\n  repeated int32 words = 18 [(google.api.field_behavior) = OPTIONAL];\n  // Who.",
    )
    both = cli.run("serve", "--protos", path, "--listen", "127.0.0.1:0", fails=True).exception
    assert isinstance(both, ConfigurationError)
    assert "column public.stories.words is missing" in both.message
    assert "run `entresol migrate`, and before it `entresol plan --write " in both.message
    assert "; `entresol plan` tells the steps" in both.message


def told(cli: Cli, protos: str) -> list[str]:
    """Return the SQL that stands in the steps to a refused change, in its order."""
    error = cli.run("plan", "--protos", protos, fails=True).exception
    assert isinstance(error, MigrationError)
    found = re.findall(r"(?:^ {7}.*\n?)+", error.message, re.MULTILINE)
    return [textwrap.dedent(sql) for sql in found]


def apply(cli: Cli, *files: str) -> None:
    """Migrate by these files, after those that there are."""
    folder = cli.folder / "migrations" / "more"
    folder.mkdir(parents=True, exist_ok=True)
    for text in files:
        next_file(folder, "step").write_text(text)
    assert len(cli.json("migrate", "--migrations", str(folder.parent))) == len(files)


STORY = "INSERT INTO stories (name, author, {column}) VALUES ('stories/{story}', 'users/a', {value})"


@pytest.mark.parametrize(("kind", "value"), [("int64", 7), ("string", "7"), ("optional string", "7")])
def test_a_type_is_changed_at_once_by_the_first_step(
    cli: Cli, protos: Path, kind: str, value: int | str
) -> None:
    cli.rows("INSERT INTO users (name) VALUES ('users/a')")
    cli.rows(STORY.format(story=1, column="score", value=7))
    path = change(protos, "story.proto", r"int32 score = 7", f"{kind} score = 7")
    apply(cli, told(cli, path)[0])
    assert cli.rows("SELECT score FROM stories") == [(value,)]
    assert (
        cli.run("plan", "--protos", path).stdout
        == "nothing to do: the database has what the protos ask for\n"
    )


def test_with_the_type_a_column_gets_or_loses_its_nulls(cli: Cli, protos: Path) -> None:
    cli.rows("INSERT INTO users (name) VALUES ('users/a')")
    cli.rows("ALTER TABLE stories ALTER COLUMN score DROP NOT NULL, ALTER COLUMN score DROP DEFAULT")
    cli.rows(STORY.format(story=1, column="score", value="NULL"))
    path = change(protos, "story.proto", r"int32 score = 7", "int64 score = 7")
    (at_once,) = told(cli, path)
    apply(cli, at_once)
    assert cli.rows("SELECT score FROM stories") == [(0,)]
    assert cli.run("plan", "--protos", path).stdout.startswith("nothing to do")


@pytest.mark.parametrize("kind", ["string", "optional int64", "double"])
def test_only_a_type_that_has_all_the_old_values_is_changed_beside_running_servers(
    cli: Cli, protos: Path, kind: str
) -> None:
    assert len(told(cli, change(protos, "story.proto", r"int32 score = 7", f"{kind} score = 7"))) == 1


def test_a_type_is_changed_beside_running_servers_by_the_other_steps(cli: Cli, protos: Path) -> None:
    cli.rows("INSERT INTO users (name) VALUES ('users/a')")
    cli.rows(
        "INSERT INTO stories (name, author, score) SELECT 'stories/' || n, 'users/a', n FROM generate_series(1, 2500) n"
    )
    path = change(protos, "story.proto", r"int32 score = 7", "int64 score = 7")
    _, expand, backfill, contract = told(cli, path)
    apply(cli, expand, f"{NO_TRANSACTION}\n{backfill}")
    assert cli.rows("SELECT count(*) FROM stories WHERE score_new = score AND score > 0") == [(2500,)]
    assert cli.run("plan").stdout.startswith("nothing to do"), "servers of the old protos start as before"

    change(
        protos,
        "story.proto",
        r"int64 score = 7 \[",
        'int64 score = 7 [(entresol.options.v1.field).column = "score_new", ',
    )
    cli.run("plan", "--protos", path, "--write", "migrations/more")
    assert [item["name"] for item in cli.json("migrate", "--migrations", "migrations")]
    assert cli.run("plan", "--protos", path).stdout.startswith("nothing to do")

    cli.rows(STORY.format(story="old", column="score", value=5))
    cli.rows(STORY.format(story="new", column="score_new", value=6))
    cli.rows(STORY.format(story="none", column="score_new", value=0))
    both = "SELECT score, score_new FROM stories WHERE name = 'stories/{}'"
    assert [cli.rows(both.format(story)) for story in ("old", "new", "none")] == [
        [(5, 5)],
        [(6, 6)],
        [(0, 0)],
    ]
    cli.rows("UPDATE stories SET score = 8 WHERE name = 'stories/new'")
    cli.rows("UPDATE stories SET score_new = 9 WHERE name = 'stories/old'")
    assert [cli.rows(both.format(story)) for story in ("old", "new")] == [[(9, 9)], [(8, 8)]]
    cli.rows("UPDATE stories SET score = 9, title = 'Old' WHERE name = 'stories/old'")
    assert cli.rows(both.format("old")) == [(9, 9)]

    apply(cli, contract)
    assert cli.run("plan", "--protos", path).stdout.startswith("nothing to do")
    cli.rows("UPDATE stories SET score_new = 3000000000 WHERE name = 'stories/old'")
    assert cli.rows("SELECT score_new FROM stories WHERE name = 'stories/old'") == [(3000000000,)]


def test_generate_writes_a_client_of_every_service(cli: Cli) -> None:
    written = cli.run("generate", "python", "--out", "client").stdout.splitlines()
    assert all(line.startswith("wrote client") for line in written)
    assert any(path.name == "story_service.py" for path in (cli.folder / "client").rglob("*.py"))
