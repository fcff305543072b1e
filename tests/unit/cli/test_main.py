"""The command itself: help that costs nothing, errors that are one sentence, exit codes that say which."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from entresol.cli.counts import counted
from entresol.cli.main import COMMANDS, entresol
from entresol.cli.sample import rows
from entresol.config import Settings

ENTRESOL = str(Path(sys.executable).parent / "entresol")
HEAVY = {"asyncpg", "redis", "grpc", "google.protobuf", "uvloop", "rich", "opentelemetry", "entresol.app"}


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ENTRESOL_")}
    return subprocess.run(
        [ENTRESOL, *arguments],
        cwd=folder, env={**clean, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_help_imports_nothing_of_the_platform() -> None:
    code = """
import sys
from entresol.cli.main import main
sys.argv = ["entresol", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
import json
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert not HEAVY & set(json.loads(done.stdout.splitlines()[-1]))
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_json_where_it_answers(name: str) -> None:
    result = CliRunner().invoke(entresol, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Usage: entresol {name} [OPTIONS]")
    assert ("--json" in result.output) is (
        name
        in {"demo", "up", "check", "plan", "migrate", "import", "purge", "warm", "verify", "call", "doctor"}
    )


def test_the_story_of_calls_help_is_one_that_the_demo_makes() -> None:
    found = re.search(r"name=stories/(\d+)", CliRunner().invoke(entresol, ["call", "--help"]).output)
    assert found is not None
    assert found[1] in {row[0] for row in rows(1000)}


@pytest.mark.parametrize("name", ["plan", "up"])
def test_the_folder_that_help_tells_of_is_the_one_of_an_option(name: str) -> None:
    output = CliRunner().invoke(entresol, [name, "--help"]).output
    assert re.search(r"--\w+ FOLDER", output)
    assert "DIRECTORY" not in output


@pytest.mark.parametrize(("number", "says"), [(0, "0 services"), (1, "1 service"), (2, "2 services")])
def test_one_thing_is_not_counted_in_the_plural(number: int, says: str) -> None:
    assert counted(number, "service") == says


def test_a_variable_that_is_no_setting_is_warned_of_where_a_command_starts(tmp_path: Path) -> None:
    done = run(tmp_path, "check", ENTRESOL_LISTN="x")
    line = json.loads(done.stderr.splitlines()[0])
    assert (line["level"], line["logger"]) == ("warning", "entresol.config")
    assert line["message"].startswith("ENTRESOL_LISTN is not a setting")
    assert line["message"].endswith("did you mean ENTRESOL_LISTEN?")


def test_the_summaries_are_short_enough_for_one_line() -> None:
    assert all(summary.endswith(".") and len(summary) <= 72 for _, summary in COMMANDS.values())


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["check"], {}, "error: protos does not exist: set ENTRESOL_PROTOS to a folder of .proto files"),
        (["check", "--protos", "nowhere"], {}, "error: nowhere does not exist"),
        (["migrate"], {"ENTRESOL_DATABASE_WRITE": "postgresql://127.0.0.1:1/x"}, "error: no database at"),
        (["migrate"], {"ENTRESOL_DATABASE_WRITE": "mysql://x"}, "error: "),
        (["plan"], {"ENTRESOL_DATABASE_WRITE_CONNECTIONS": "many"}, "error: setting database_write_connections"),
        (["plan"], {"ENTRESOL_CONFIG": "nowhere.toml"}, "error: ENTRESOL_CONFIG: nowhere.toml cannot be read"),
        (["relay", "--protos", "."], {}, "error: "),
        (["call", "a.B/C", "--address", "127.0.0.1:1"], {}, "Error: UNAVAILABLE"),
        (["import", "f.csv", "--resource", "a.B"], {}, "error: protos does not exist"),
        (["verify"], {}, "error: protos does not exist"),
    ],
)  # fmt: skip
def test_an_error_is_one_sentence_and_exit_code_1(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    (tmp_path / "f.csv").write_text("a\n1\n")
    done = run(tmp_path, *arguments, **environment)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(says)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["check", "--nothing"],
        ["import"],
        ["import", "nowhere.csv"],
        ["verify", "--metadata", "x"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2_with_usage(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Usage: entresol" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_command_is_exit_code_130(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/x"
        process = subprocess.Popen(
            [ENTRESOL, "migrate"],
            cwd=tmp_path, env={**os.environ, "ENTRESOL_DATABASE_WRITE": url}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with silent.accept()[0]:  # it waits for an answer that does not come
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.strip() == ""


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert run(tmp_path, "--version").stdout.startswith("entresol, version ")


def test_serve_lists_every_setting_with_its_unit_its_default_and_its_meaning(tmp_path: Path) -> None:
    text = run(tmp_path, "serve", "--help-settings").stdout
    assert "ENTRESOL_LISTEN  (default '127.0.0.1:9000')\n  host:port of gRPC" in text
    assert "ENTRESOL_DATABASE_WAIT_S  (seconds, default 1.0)\n  Longest wait" in text
    assert "ENTRESOL_NEAR_BYTES_MAX  (bytes, default 67108864)\n  Memory" in text
    assert text.startswith("ENTRESOL_")
    settings = [setting.partition("\n") for setting in text.split("ENTRESOL_")[1:]]
    assert len(settings) == len(dataclasses.fields(Settings))
    assert all(meaning.strip().endswith(".") for _, _, meaning in settings)
