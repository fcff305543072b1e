"""What tests with clients of Node share: the scripts, and the packages that they need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "node"
INSTALL_S = 180.0


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the scripts and the packages that they need."""
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--silent")
    subprocess.run(("npm", "install", *quiet), cwd=folder, check=True, timeout=INSTALL_S)
    return folder
