"""Processes held to slices of a core by control groups, so that a few cores do for many machines."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bench.processes import BenchError

PERIOD_US = 100_000
GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def held(pids: Sequence[int], share: float) -> Iterator[None]:
    """Hold each process, and what it starts from now on, to a share of a core for the length of the block.

    BenchError where that is not allowed.
    """
    is_old = (GROUPS / "cpu").is_dir()
    root = GROUPS / "cpu" if is_old else GROUPS
    made: list[Path] = []
    try:
        for pid in pids:
            group = root / f"entresol-bench-{os.getpid()}-{pid}"
            group.mkdir()
            made.append(group)
            quota_us = int(share * PERIOD_US)
            if is_old:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (group / "cpu.max").write_text(f"{quota_us} {PERIOD_US}")
            (group / "cgroup.procs").write_text(str(pid))
        yield
    except OSError as error:
        raise BenchError(f"no control group can hold a process here: {error}") from error
    finally:
        for group in made:
            with suppress(OSError):
                for pid in (group / "cgroup.procs").read_text().split():
                    (root / "cgroup.procs").write_text(pid)
                group.rmdir()
