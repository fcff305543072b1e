"""Servers to break, folders that keep data, and a small schema."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from entresol.embedded import EmbeddedServers
from entresol.testing.plugin import run
from entresol.testing.servers import Migrate


@pytest.fixture(scope="module")
def breakable() -> Iterator[EmbeddedServers]:
    """Give servers of the module's own, with one replica; a test leaves them running."""
    started = run(EmbeddedServers.start(replicas=1))
    yield started
    run(started.stop())


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that other users may enter, unlike `tmp_path`."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree((path / "servers").resolve(), ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def closed_folder(folder: Path) -> Path:
    """Give a folder that other users may not enter."""
    folder.chmod(0o700)
    return folder


@pytest.fixture(scope="session")
def migrate_database() -> Migrate:
    async def apply(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE notes (text text PRIMARY KEY)")
        await connection.close()

    return apply
