"""`check` names files so that an editor opens them from here, and says when it could not check all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENTRESOL = str(Path(sys.executable).parent / "entresol")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    return tmp_path


def check(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ENTRESOL_")}
    return subprocess.run(
        [ENTRESOL, "check", *arguments],
        cwd=folder, env=clean, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "stories/v1/story.proto"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("change", [("score desc", "nothing desc"), ("indexes: [", "indices: [")])
@pytest.mark.parametrize("here", [".", "protos/stories"])
def test_files_are_named_from_the_working_folder(folder: Path, change: tuple[str, str], here: str) -> None:
    edit(folder / "protos", *change)
    done = check(folder / here, "--protos", os.path.relpath(folder / "protos", folder / here), "--json")
    for mistake in json.loads(done.stdout)["mistakes"]:
        line = (folder / here / mistake["file"]).read_text().splitlines()[mistake["line"] - 1]
        assert "option (entresol.options.v1.resource)" in line or "indices" in line


def test_what_is_gone_is_named_in_the_earlier_protos_and_what_changed_in_the_new(folder: Path) -> None:
    shutil.copytree(folder / "protos", folder / "before")
    edit(folder / "protos", "int32 score = 7", "int64 score = 7")
    said = check(folder, "--against", "before").stderr
    assert said.splitlines()[1].startswith("protos/stories/v1/story.proto:")
    assert "stories.v1.Story.score: " in said
    shutil.rmtree(folder / "protos/stories/v1")
    (folder / "protos/stories/functions.py").unlink()
    gone = check(folder, "--against", "before").stderr.splitlines()
    assert gone[0].startswith("error: ")
    assert all(line.startswith("before/stories/v1/") for line in gone[1:])


def test_only_protos_that_do_not_compile_leave_more_to_be_found(folder: Path) -> None:
    edit(folder / "protos", "score desc", "nothing desc")
    complete = check(folder)
    assert json.loads(check(folder, "--json").stdout)["complete"] is True
    edit(folder / "protos", "indexes: [", "indices: [")
    broken = check(folder)
    assert json.loads(check(folder, "--json").stdout)["complete"] is False
    assert "there may be more" not in complete.stderr
    assert (
        "indices: is no field of entresol.options.v1.ResourceOptions; did you mean indexes?" in broken.stderr
    )
    assert broken.stderr.splitlines()[-1].startswith("there may be more: ")
    assert (complete.returncode, broken.returncode) == (1, 1)
