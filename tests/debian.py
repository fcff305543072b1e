"""Debian's programs for tests: fetched once by `apt-get download` and unpacked. It needs no root and starts nothing."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[1] / ".entresol" / "tools"
_FETCH_S = 100.0


class PackageMissingError(Exception):
    """The packages cannot be had here; the text says why."""


def unpacked(name: str, packages: Sequence[str]) -> Path:
    """Return the folder that has `usr` of these packages, fetched on the first call and kept under this name.

    Raises:
        PackageMissingError: there is no apt-get, or it has none of them.
    """
    kept = TOOLS / name
    if not kept.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        with (TOOLS / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
            if not kept.exists():
                _fetch(kept, packages)
    return kept


def _fetch(target: Path, packages: Sequence[str]) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise PackageMissingError(f"there is no apt-get to fetch {packages[0]} with")
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name)
        command = ("apt-get", "download", "-qq", *packages)
        try:
            fetched = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_FETCH_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise PackageMissingError(f"apt-get took longer than {_FETCH_S:g} s for {packages[0]}") from None
        if fetched.returncode:
            raise PackageMissingError(f"apt-get has no {packages[0]}: {fetched.stderr[-200:]}")
        for package in folder.glob("*.deb"):
            subprocess.run(("dpkg", "-x", package, folder / "root"), check=True, timeout=_FETCH_S)
        (folder / "root").rename(target)
