"""A real HAProxy for tests: the system's, or Debian's package, fetched once and unpacked, which needs no root."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from tests.debian import PackageMissingError, unpacked

from entresol.config import Settings
from entresol.embedded.haproxy import find_haproxy

# What it is linked with, beyond what every Debian has.
_LIBRARIES = (
    "liblua5.3-0",
    "libopentracing-c-wrapper0",
    "libopentracing1",
    "libpcre2-8-0",
    "libpcre2-posix3",
)
_WRAPPER = """\
#!/bin/sh
LD_LIBRARY_PATH={libraries} exec {program} "$@"
"""


@cache
def haproxy() -> Path:
    """Return the program.

    Raises:
        PackageMissingError: there is none, and none can be fetched.
    """
    if found := find_haproxy(Settings.load().haproxy_bin):
        return found
    root = unpacked("haproxy", ("haproxy", *_LIBRARIES))
    wrapper = root / "haproxy"
    if not wrapper.exists():
        libraries = ":".join(map(str, (root / "usr/lib").glob("*-linux-gnu*")))
        made = root / f"haproxy.{os.getpid()}"
        made.write_text(_WRAPPER.format(libraries=libraries, program=root / "usr/sbin/haproxy"))
        made.chmod(0o755)
        made.replace(wrapper)
    return wrapper


def haproxy_or_skip() -> Path:
    """Return the program; the test is skipped where there is none."""
    try:
        return haproxy()
    except PackageMissingError as missing:
        pytest.skip(f"there is no HAProxy on this machine: {missing}")
