"""Which programs are chosen, who runs them, and what is said when there are none."""

from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from entresol.embedded import EmbeddedServers, accounts, binaries
from entresol.embedded import folders as folders_module
from entresol.embedded.accounts import Account, may_enter, server_account
from entresol.embedded.binaries import find_postgres, find_redis
from entresol.embedded.folders import Folders, open_folders
from entresol.errors import ConfigurationError
from entresol.testing.plugin import run


@pytest.fixture
def folders(folder: Path) -> Iterator[Folders]:
    opened = open_folders(folder)
    yield opened
    opened.release()
    opened.remove()


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", ())
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda _: None)


@pytest.mark.usefixtures("nothing_installed")
async def test_without_postgresql_the_error_says_what_to_install() -> None:
    with pytest.raises(
        ConfigurationError, match=r"14 or newer was not found: pip install 'entresol\[embedded\]'"
    ):
        await EmbeddedServers.start()


@pytest.mark.usefixtures("nothing_installed")
def test_without_redis_the_error_says_what_to_install(folders: Folders) -> None:
    with pytest.raises(ConfigurationError, match=r"no redis-server .*pip install 'entresol\[embedded\]'"):
        find_redis("", folders)


@pytest.mark.usefixtures("nothing_installed")
def test_a_start_that_fails_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(folders_module, "_MEMORY", "/nonexistent")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(ConfigurationError):
        run(EmbeddedServers.start())
    assert list(folder.iterdir()) == []


def test_a_folder_without_the_programs_is_refused(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"postgres_bin: .* lacks"):
        find_postgres(str(tmp_path), folders)


def test_a_redis_that_is_not_there_is_refused(folders: Folders) -> None:
    with pytest.raises(ConfigurationError, match="redis_bin: there is no program /nonexistent"):
        find_redis("/nonexistent", folders)


def test_existing_data_ask_for_their_own_version(folders: Folders) -> None:
    (folders.server("primary") / "PG_VERSION").write_text("9\n")
    with pytest.raises(
        ConfigurationError, match="PostgreSQL 9, which wrote the existing data, was not found"
    ):
        find_postgres("", folders)


def test_the_wheels_serve_where_the_system_has_nothing(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", ())
    assert find_postgres("", folders).version >= 18
    assert find_redis("", folders).name == "valkey-server"


async def test_a_wheel_that_the_account_cannot_reach_is_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(binaries, "_SYSTEM_FOLDERS", ())
    monkeypatch.setattr(binaries, "may_enter", lambda _account, _path: False)
    async with await EmbeddedServers.start(folder, replicas=1) as servers:
        assert servers.primary.argv[0].startswith(str(servers.primary.sockets.parent))
        assert await servers.psql("SELECT 1") == "1"


def test_root_gives_the_servers_to_the_first_account_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "_CANDIDATES", ("no-such-user", "nobody"))
    account = server_account()
    assert account is not None
    assert account.user == pwd.getpwnam("nobody").pw_uid


def test_root_without_such_an_account_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(accounts, "_CANDIDATES", ("no-such-user",))
    with pytest.raises(ConfigurationError, match="run this command as a normal user"):
        server_account()


def test_anyone_else_runs_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_account() is None


def test_an_account_enters_only_where_every_folder_on_the_way_is_open(folder: Path) -> None:
    stranger = Account("stranger", 54321, 54321)
    inner = folder / "inner"
    inner.mkdir(mode=0o755)
    assert may_enter(stranger, inner)
    folder.chmod(0o700)
    assert not may_enter(stranger, inner)


def test_sockets_are_never_below_a_long_path(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    long = folder / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    opened = open_folders(None)
    opened.remove()
    assert len(bytes(opened.run / "replica-99" / ".s.PGSQL.65535")) <= 103
