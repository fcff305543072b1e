"""Patroni and etcd as Debian has them, run from where they were unpacked."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from tests.debian import PackageMissingError, unpacked

from entresol.embedded import PatroniPrograms

_PYTHON = "/usr/bin/python3"  # the one that Debian's modules are made for
_PACKAGES = (
    "patroni",
    "etcd-server",
    *(f"python3-{name}" for name in ["psycopg2", "dateutil", "cdiff", "prettytable", "wcwidth", "psutil"]),
    *(
        f"python3-{name}"
        for name in ["urllib3", "six", "yaml", "dnspython", "click", "pkg-resources", "etcd"]
    ),
    "libpq5",
    "postgresql-15",
    "postgresql-client-15",
)


@cache
def patroni() -> PatroniPrograms:
    """Return the programs, each of which finds its modules and libraries where it was unpacked.

    Raises:
        PackageMissingError: they cannot be had here.
    """
    if not Path(_PYTHON).exists():
        raise PackageMissingError(f"there is no {_PYTHON} to run Patroni")
    root = unpacked("patroni", _PACKAGES)
    libraries = ":".join(map(str, (root / "usr/lib").glob("*-linux-gnu")))
    told = f"PYTHONPATH={root}/usr/lib/python3/dist-packages LD_LIBRARY_PATH={libraries}"
    program, etcd = root / "run" / "patroni", root / "run" / "etcd"  # in one folder, that can be on PATH
    if not etcd.exists():
        program.parent.mkdir(exist_ok=True)
        made = program.with_name(f"patroni.{os.getpid()}")
        made.write_text(f'#!/bin/sh\n{told} exec {_PYTHON} {root}/usr/bin/patroni "$@"\n')
        made.chmod(0o755)
        made.replace(program)
        linked = etcd.with_name(f"etcd.{os.getpid()}")
        linked.symlink_to(root / "usr/bin/etcd")
        linked.replace(etcd)
    return PatroniPrograms(program, etcd)


def postgres_bin() -> str:
    """Return the folder of the PostgreSQL that this Patroni knows."""
    return str(unpacked("patroni", _PACKAGES) / "usr/lib/postgresql/15/bin")
