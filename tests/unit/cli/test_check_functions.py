"""`check` knows the functions: each custom method has one, and each of them a method, or both are in the list."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
ENTRESOL = str(Path(sys.executable).parent / "entresol")
SERVICE = "stories.v1.StoryService"


def check(folder: Path, *arguments: str) -> Any:
    """Check in a process of its own, which has imported no functions before."""
    done = subprocess.run(
        [ENTRESOL, "check", "--json", *arguments],
        cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    return tmp_path


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_methods_and_functions_that_belong_together_are_no_mistake(folder: Path) -> None:
    assert check(folder)["ok"] is True


def test_a_misspelt_function_is_told_beside_the_method_that_lacks_one_and_every_other_mistake(
    folder: Path,
) -> None:
    edit(folder / "protos/stories/functions.py", f'"{SERVICE}.VoteStory"', f'"{SERVICE}.VoteStorey"')
    edit(folder / "protos/stories/v1/story.proto", 'get: "/v1/stories"', 'get: "/v1/story"')
    found = {one["element"]: one for one in check(folder)["mistakes"]}
    assert set(found) == {f"{SERVICE}.{name}" for name in ("VoteStory", "VoteStorey", "ListStories")}
    lacking, lonely = found[f"{SERVICE}.VoteStory"], found[f"{SERVICE}.VoteStorey"]
    assert (lacking["rule"], lacking["problem"]) == ("entresol/function", "is declared and has no function")
    assert lacking["remedy"] == f"register one with @entresol.method('{SERVICE}.VoteStory')"
    lines = (folder / "protos" / lacking["file"]).read_text().splitlines()
    assert "rpc VoteStory(" in lines[lacking["line"] - 1]
    assert lonely["problem"] == "has a function and is declared in no proto"
    assert lonely["remedy"] == f"did you mean '{SERVICE}.VoteStory'?"
    assert "VoteStorey" in (folder / lonely["file"]).read_text().splitlines()[lonely["line"] - 1]


def test_a_function_that_is_like_no_method_is_declared_or_removed(folder: Path) -> None:
    edit(folder / "protos/stories/functions.py", f'"{SERVICE}.VoteStory"', f'"{SERVICE}.ReadStory"')
    (lonely,) = (one for one in check(folder)["mistakes"] if one["element"] == f"{SERVICE}.ReadStory")
    assert lonely["remedy"] == "declare the method, or remove the function"


def test_functions_are_those_that_are_named(folder: Path) -> None:
    (folder / "none.py").write_text("")
    found = check(folder, "--functions", "none.py")["mistakes"]
    assert {one["problem"] for one in found} == {"is declared and has no function"}


def test_a_standard_method_of_a_resource_that_cannot_be_read_lacks_no_function(folder: Path) -> None:
    edit(folder / "protos/stories/v1/vote.proto", 'plural: "votes"', 'plural: "ballots"')
    found = check(folder)["mistakes"]
    assert found
    assert "entresol/function" not in {one["rule"] for one in found}
