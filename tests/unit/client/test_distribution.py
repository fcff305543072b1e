"""The client as it is installed: whole, typed, as documented, and in need of nothing of the platform."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CLIENT = ROOT / "clients" / "python"


def test_the_wheel_holds_every_generated_package_and_imports_alone(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CLIENT, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    generated = sorted(path.name for path in (CLIENT / "src/gen").iterdir())
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import {', '.join(generated)}, entresol_client;"
        "import entresol_stories.v1; print([name for name in sys.modules if name.split('.')[0] == 'entresol'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_protobuf_it_asks_for_can_run_what_was_generated() -> None:
    requirements = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]["dependencies"]
    (protobuf,) = (text for text in requirements if text.startswith("protobuf"))
    text = (CLIENT / "src/gen/entresol_stories/v1/story_pb2.py").read_text()
    (version,) = (line.rpartition(" ")[2] for line in text.splitlines() if "Protobuf Python Version" in line)
    assert protobuf == f"protobuf>={version},<{int(version.split('.')[0]) + 2}"


def test_mypy_strict_finds_nothing_in_the_client_and_in_the_programs_of_its_readme(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    programs = [block for block in blocks if "import" in block]
    assert len(programs) >= 2
    paths = [tmp_path / f"program_{number}.py" for number in range(len(programs))]
    for path, program in zip(paths, programs, strict=True):
        path.write_text(program)
    options = ["--config-file", str(CLIENT / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache")]
    sources = [
        str(CLIENT / "src/entresol_client"),
        str(CLIENT / "src/gen/entresol_stories"),
        *map(str, paths),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *sources],
        cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
