"""What this process is given by the machine and its container: files, memory, processors."""

from __future__ import annotations

import importlib.util
import os
import resource
from dataclasses import dataclass
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # what the first version of cgroups says for none


@dataclass(frozen=True, slots=True)
class Host:
    """Limits of this process; None where there is none."""

    files_soft: int
    files_hard: int
    processors: int  # that this process may run on
    processors_granted: float | None = None
    memory_bytes: int | None = None
    has_uvloop: bool = True


def read_host() -> Host:
    """Return what this process is given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    folders = _folders(_OWN_CGROUP, _CGROUPS)
    return Host(
        files_soft=soft,
        files_hard=hard,
        processors=len(os.sched_getaffinity(0)),
        processors_granted=_processors(folders),
        memory_bytes=_memory(folders),
        has_uvloop=importlib.util.find_spec("uvloop") is not None,
    )


def _folders(own: Path, root: Path) -> list[Path]:
    """Return the folders of this process's cgroup and of those around it, of either version."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        base = root / controllers.partition(",")[0] if controllers else root
        here = base / path.lstrip("/")
        found += [here, *(parent for parent in here.parents if parent.is_relative_to(base))]
    return list(dict.fromkeys(found))


def _memory(folders: list[Path]) -> int | None:
    limits = [
        int(text)
        for folder in folders
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := _text(folder / name)).isdigit() and int(text) < _UNLIMITED
    ]
    return min(limits, default=None)


def _processors(folders: list[Path]) -> float | None:
    granted = []
    for folder in folders:
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        if not quota:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            granted.append(int(quota) / int(period))
    return min(granted, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
