"""What a container gives, as both versions of cgroups tell it."""

from __future__ import annotations

from pathlib import Path

from entresol.doctor.host import _folders, _memory, _processors, read_host


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_second_version_has_limits_at_every_level_and_the_smallest_counts(tmp_path: Path) -> None:
    write(tmp_path / "cgroup", "0::/pods/one/box\n")
    root = tmp_path / "fs"
    write(root / "pods/one/box/memory.max", "max\n")
    write(root / "pods/one/memory.max", "2147483648\n")
    write(root / "pods/memory.max", "8589934592\n")
    write(root / "pods/one/box/cpu.max", "150000 100000\n")
    write(root / "pods/cpu.max", "max 100000\n")
    folders = _folders(tmp_path / "cgroup", root)
    assert _memory(folders) == 2 << 30
    assert _processors(folders) == 1.5


def test_the_first_version_has_a_folder_for_each_controller(tmp_path: Path) -> None:
    write(tmp_path / "cgroup", "4:memory:/box\n3:cpu,cpuacct:/box\n")
    root = tmp_path / "fs"
    write(root / "memory/box/memory.limit_in_bytes", "1073741824\n")
    write(root / "memory/memory.limit_in_bytes", "9223372036854771712\n")
    write(root / "cpu/box/cpu.cfs_quota_us", "200000\n")
    write(root / "cpu/box/cpu.cfs_period_us", "100000\n")
    folders = _folders(tmp_path / "cgroup", root)
    assert _memory(folders) == 1 << 30
    assert _processors(folders) == 2.0


def test_no_limit_is_none(tmp_path: Path) -> None:
    write(tmp_path / "cgroup", "3:cpu:/box\n")
    write(tmp_path / "fs/cpu/box/cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "fs/cpu/box/cpu.cfs_period_us", "100000\n")
    assert _processors(_folders(tmp_path / "cgroup", tmp_path / "fs")) is None
    assert _folders(tmp_path / "absent", tmp_path) == []
    assert _memory([]) is None


def test_this_process_is_given_something() -> None:
    host = read_host()
    assert host.files_soft > 0
    assert host.processors >= 1
    assert host.has_uvloop
