"""A migration as a file: its name, its checksum and its statements. Pure, except for reading the folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from entresol.errors import MigrationError
from entresol.storage.plan import NO_TRANSACTION

_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
# What a semicolon may stand in without ending the statement.
_TOKEN = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | \$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$ | (?P<end>;) | \w+ | .""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT = re.compile(r"--[^\n]*\n?|/\*.*?\*/|\s+", re.DOTALL)


@dataclass(frozen=True)
class Migration:
    """One file of a folder. Files run in the order of their names."""

    folder: str
    name: str
    text: str

    @property
    def label(self) -> str:
        """Return `folder/name`, as messages say it."""
        return f"{self.folder}/{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        """Return what the table of applied migrations knows it by."""
        return self.folder, self.name

    @cached_property
    def checksum(self) -> str:
        """Return a hash of the text that line endings do not change."""
        return hashlib.sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()

    @property
    def in_transaction(self) -> bool:
        """Whether the file runs in one transaction: unless a comment at its top says otherwise."""
        lines = (line.strip() for line in self.text.splitlines())
        header = (line for line in lines if line)
        for line in header:
            if line == NO_TRANSACTION:
                return False
            if not line.startswith("--"):
                break
        return True

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """Return the statements, without the comments before each."""
        return tuple(split_statements(self.text))

    def line_of(self, fragment: str, position: int = 1) -> int:
        """Return the line of a character in a part of the text; `position` counts from 1."""
        start = max(self.text.find(fragment), 0)
        return self.text.count("\n", 0, start + position - 1) + 1


def split_statements(text: str) -> list[str]:
    """Split SQL at the semicolons that stand in no quotes, dollar quotes or comments."""
    statements, start = [], 0
    for token in _TOKEN.finditer(text):
        if token["end"]:
            statements.append(text[start : token.end()])
            start = token.end()
    statements.append(text[start:])
    return [rest for rest in map(_without_leading_comments, statements) if rest.strip(";")]


def _without_leading_comments(text: str) -> str:
    position = 0
    while found := _COMMENT.match(text, position):
        position = found.end()
    return text[position:].rstrip()


def read_folders(folders: Sequence[Path]) -> list[Migration]:
    """Return every migration of the folders, folder by folder.

    Raises:
        MigrationError: a folder is missing, two have one name, or a file's name or number is not usable.
    """
    names = [folder.resolve().name for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise MigrationError(f"two folders of migrations are named {name}; rename one of them")
    return [migration for folder in folders for migration in _read_folder(folder)]


def _read_folder(folder: Path) -> list[Migration]:
    if not folder.is_dir():
        raise MigrationError(f"{folder} is not a folder of migrations")
    paths = sorted(folder.glob("*.sql"))
    _check_names(folder, [path.name for path in paths])
    migrations = [
        Migration(folder.resolve().name, path.name, path.read_text(encoding="utf-8")) for path in paths
    ]
    for migration in migrations:
        _check_statements(migration)
    return migrations


def _check_names(folder: Path, names: Iterable[str]) -> None:
    numbers: dict[str, str] = {}
    for name in names:
        if not _NAME.fullmatch(name):
            raise MigrationError(
                f"{folder.name}/{name}: name it NNNN_title.sql, in lower-case letters, digits and _"
            )
        other = numbers.setdefault(name[:4], name)
        if other != name:
            raise MigrationError(
                f"{folder.name}/{name} has the number of {other}; give the newer one the next number"
            )


def _check_statements(migration: Migration) -> None:
    """Refuse what would end the transaction that the file and its record share."""
    if not migration.in_transaction:
        return
    for statement in migration.statements:
        if re.match(r"(commit|rollback|begin|start\s+transaction)\b", statement, re.IGNORECASE):
            word = statement.split()[0].rstrip(";").upper()
            raise MigrationError(
                f"{migration.label}:{migration.line_of(statement)}: the file runs in one transaction; "
                f"remove {word}, or begin the file with the line `{NO_TRANSACTION}`"
            )
