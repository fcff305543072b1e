"""Commands on a database of their own, in this process where they end by themselves."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner, Result

from entresol.cli.main import entresol
from entresol.testing.servers import Database, Databases, Migrate

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Cli:
    """Runs commands in `folder`, on a database with the tables of the stories or with none."""

    folder: Path
    database: Database

    @property
    def environment(self) -> dict[str, str]:
        return {
            "ENTRESOL_DATABASE_WRITE": self.database.write_url,
            "ENTRESOL_PROTOS": str(ROOT / "protos"),
            # Named, so that no copy of the protos brings them a second time into this process.
            "ENTRESOL_FUNCTIONS": str(ROOT / "protos" / "stories" / "functions.py"),
            "ENTRESOL_MIGRATIONS": str(ROOT / "migrations"),
        }

    def run(self, *arguments: str, fails: bool = False) -> Result:
        """Run a command; one that is to fail does so with an exit code or an error of the platform."""
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            result = CliRunner().invoke(entresol, arguments, env=self.environment, standalone_mode=False)
        finally:
            os.chdir(before)
        failed = result.exception is not None or result.return_value not in (None, 0)
        assert failed is fails, result.output + repr(result.exception)
        return result

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def write(self, name: str, content: str | bytes) -> str:
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async def fetch() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.database.write_url)
            try:
                return [tuple(row) for row in await connection.fetch(sql)]
            finally:
                await connection.close()

        return asyncio.run(fetch())


@pytest.fixture
def cli(primary_database: Database, tmp_path: Path) -> Cli:
    """Give commands on a database that has all tables and no records."""
    return Cli(tmp_path, primary_database)


@pytest.fixture
def bare(databases: Databases, nothing: Migrate, tmp_path: Path) -> Iterator[Cli]:
    """Give commands on a database that has nothing."""
    database = asyncio.run(databases.create(nothing, replicated=False))
    yield Cli(tmp_path, database)
    asyncio.run(databases.drop(database))


@pytest.fixture(scope="session")
def nothing() -> Callable[[str], Any]:
    async def leave(_url: str) -> None:
        """Leave the database as it was made."""

    return leave
