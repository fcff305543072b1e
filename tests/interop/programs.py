"""Other people's programs, built by Go in the versions that are named here, and the modules they come from.

They are kept below `.entresol/tools` of the repository, which git does not see; what is there is not built again.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from entresol.config import environment_with

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".entresol" / "tools"
BUILD_S = 900.0


def built(package: str, version: str) -> Path:
    """Return the program of a Go package, built before or now; the test is skipped where there is no Go."""
    folder = TOOLS / f"{package.replace('/', '-')}@{version}"
    if not any(folder.glob("*")):
        _go("install", f"{package}@{version}", GOBIN=str(folder))
    return next(folder.glob("*"))


def module(name: str) -> Path:
    """Return the folder with the source of a Go module, `name@version`."""
    return Path(json.loads(_go("mod", "download", "-json", name))["Dir"])


def _go(*arguments: str, **environment: str) -> str:
    go = shutil.which("go")
    if go is None:
        pytest.skip("there is no Go on this machine to build it with")
    done = subprocess.run(
        (go, *arguments), capture_output=True, text=True, timeout=BUILD_S, check=False, cwd="/",
        env={**environment_with(), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
