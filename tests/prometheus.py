"""Prometheus's own checker of rules for tests: the system's, or Debian's, fetched once and unpacked."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest
from tests.debian import PackageMissingError, unpacked


@cache
def promtool_or_skip() -> Path:
    """Return the program; the test is skipped where there is none."""
    if found := shutil.which("promtool"):
        return Path(found)
    try:
        return unpacked("prometheus", ("prometheus",)) / "usr" / "bin" / "promtool"
    except PackageMissingError as missing:
        pytest.skip(f"there is no promtool on this machine: {missing}")
