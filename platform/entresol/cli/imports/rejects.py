"""The rows that could not be loaded, in a CSV file of line, field and problem: each once, whatever was interrupted."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from entresol.errors import ConfigurationError, EntresolError, InvalidArgumentError

COLUMNS = ("line", "field", "problem")


@dataclass(frozen=True, slots=True)
class Reject:
    """What is wrong with one field of a row, or with the row when there is no field."""

    line: int
    field: str
    problem: str


def rejects_of(line: int, error: EntresolError) -> list[Reject]:
    """Return what an error says of a row, a reject for each violation."""
    if isinstance(error, InvalidArgumentError):
        return [Reject(line, violation.field, violation.description) for violation in error.violations]
    return [
        Reject(line, error.metadata.get("field") or error.metadata.get("fields") or "name", error.message)
    ]


@dataclass(slots=True)
class Rejects:
    """The rejects file. `count` is the number of rows in it, those of earlier runs included."""

    path: Path
    count: int = 0
    _waiting: list[Reject] = field(default_factory=list)

    def keep(self, line: int) -> None:
        """Keep what earlier runs wrote up to `line`; what comes after was never committed and will be read again.

        Raises:
            ConfigurationError: the file cannot be written.
        """
        beside = self.path.with_name(f"{self.path.name}.new")
        try:
            kept = self._read(line)
            _append(beside, kept, new=True)
            os.replace(beside, self.path)
            if not kept:
                self.path.unlink()
        except OSError as error:
            raise ConfigurationError(
                f"the rejects file {self.path} cannot be written: {error.strerror}; name another with --rejects"
            ) from error
        self.count = len({reject.line for reject in kept})

    def add(self, rejects: Sequence[Reject]) -> None:
        """Add rows; `write` puts them into the file."""
        self._waiting += rejects
        self.count += len({reject.line for reject in rejects})

    def write(self) -> None:
        """Write what was added, in the order of the lines."""
        if self._waiting:
            rejects = sorted(self._waiting, key=lambda reject: reject.line)
            _append(self.path, rejects, new=not self.path.exists())
            self._waiting = []

    def _read(self, line: int) -> list[Reject]:
        if not line or not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            # A process that was killed while it wrote may have left half a row.
            rows = [row for row in csv.reader(file) if len(row) == len(COLUMNS) and row[0].isdecimal()]
        return [Reject(int(row[0]), row[1], row[2]) for row in rows if int(row[0]) <= line]


def _append(path: Path, rejects: Sequence[Reject], *, new: bool) -> None:
    with path.open("w" if new else "a", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerows((reject.line, reject.field, reject.problem) for reject in rejects)
