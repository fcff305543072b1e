"""A file of rows: CSV with a header line, or NDJSON, read one row at a time."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from entresol.errors import ConfigurationError

SIZE_MAX = 16 * 1024 * 1024  # characters of a CSV cell, or of an NDJSON row
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row and the line it begins on, counted from 1. `problem` says why it could not be read, `column` where."""

    line: int
    values: Mapping[str, Any]
    problem: str = ""
    column: str = ""
    size: int = 0  # characters


@dataclass(frozen=True, slots=True)
class Source:
    """A CSV or NDJSON file."""

    path: Path

    @property
    def is_csv(self) -> bool:
        """Whether the file is CSV; everything that is not named .ndjson, .jsonl or .json is."""
        return self.path.suffix.lower() not in (".ndjson", ".jsonl", ".json")

    def digest(self) -> str:
        """Return a hash of the content, by which an interrupted import is recognised."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def check(self) -> int:
        """Return the number of the last row's line.

        What goes wrong with a single row is that row's; this finds what would take others along, before any is loaded.

        Raises:
            ConfigurationError: the file is empty, its header is of no use, or a quote is opened and never closed.
        """
        if self.is_csv:
            self._header()
        line = 0
        for row in self.rows():
            line = row.line
        if not line and not self.is_csv:
            raise ConfigurationError(f"{self.path} holds no rows")
        return line

    def columns(self) -> tuple[str, ...]:
        """Return the columns of a CSV file; those of NDJSON are found out by `lacking`."""
        return self._header() if self.is_csv else ()

    def lacking(self, columns: Set[str]) -> set[str]:
        """Return those of `columns` that no row has; NDJSON is read as far as it takes to find them."""
        if self.is_csv:
            return set(columns) - set(self._header())
        missing = set(columns)
        for row in self.rows():
            missing -= row.values.keys()
            if not missing:
                break
        return missing

    def rows(self) -> Iterator[SourceRow]:
        """Yield every row; one that cannot be read is yielded with its problem."""
        return self._csv_rows() if self.is_csv else self._json_rows()

    def _open(self) -> IO[str]:
        # Lines end where they do for the reader of CSV, and broken UTF-8 is one row's problem.
        return self.path.open(newline="", encoding="utf-8-sig", errors="surrogateescape")

    def _header(self) -> tuple[str, ...]:
        with self._open() as file:
            try:
                header = next(csv.reader(file, strict=True), [])
            except csv.Error as error:
                raise ConfigurationError(f"{self.path}:1: the header cannot be read: {error}") from error
        if not header:
            raise ConfigurationError(f"{self.path} holds no rows; its first line must name the columns")
        if _broken(header):
            raise ConfigurationError(f"{self.path}:1: the header is not valid UTF-8; convert the file")
        twice = [name for name, times in Counter(header).items() if times > 1 and name]
        if twice:
            raise ConfigurationError(f"{self.path}:1: two columns are called {twice[0]}; rename one")
        return tuple(header)

    def _csv_rows(self) -> Iterator[SourceRow]:
        csv.field_size_limit(SIZE_MAX)
        with self._open() as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            before = reader.line_num
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    line, before = before + 1, reader.line_num
                    yield self._misquoted(line, str(error))
                    continue
                if cells is None:
                    return
                line, before = before + 1, reader.line_num
                if cells:
                    yield _csv_row(line, header, cells)

    def _misquoted(self, line: int, problem: str) -> SourceRow:
        """Return the row that broke the rules of CSV, unless nobody can tell where it ends."""
        if "expected after" in problem:
            return SourceRow(line, {}, "has a quote inside of a quoted cell; write it twice")
        if "larger than" in problem:
            problem = f"a cell has more than {SIZE_MAX >> 20} MiB; is a quote never closed?"
        else:
            problem = "a quote is opened and never closed, so that no row after it can be read"
        raise ConfigurationError(f"{self.path}:{line}: {problem}")

    def _json_rows(self) -> Iterator[SourceRow]:
        with self._open() as file:
            line = 0
            while text := file.readline(SIZE_MAX + 1):
                line += 1
                if len(text) > SIZE_MAX:
                    while text and not text.endswith("\n"):
                        text = file.readline(_CHUNK)
                    yield SourceRow(line, {}, f"has more than {SIZE_MAX >> 20} MiB")
                elif text.strip():
                    yield _json_row(line, text)


def _csv_row(line: int, header: Sequence[str], cells: Sequence[str]) -> SourceRow:
    values = dict(zip(header, cells, strict=False))
    size = sum(map(len, cells))
    if len(cells) != len(header):
        problem = f"has {len(cells)} cells, the header has {len(header)}"
        return SourceRow(line, values, problem)
    if _broken(cells):
        column = next(name for name, cell in values.items() if _broken([cell]))
        return SourceRow(line, values, "is not valid UTF-8", column)
    return SourceRow(line, values, size=size)


def _json_row(line: int, text: str) -> SourceRow:
    if _broken([text]):
        return SourceRow(line, {}, "is not valid UTF-8")
    try:
        values = json.loads(text, object_pairs_hook=_unrepeated)
    except json.JSONDecodeError as error:
        return SourceRow(line, {}, f"is not JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return SourceRow(line, {}, f"is not JSON that can be read: {error}")
    if not isinstance(values, dict):
        return SourceRow(line, {}, "is not a JSON object")
    return SourceRow(line, values, size=len(text))


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key stands in an object twice")
    return values


def _broken(cells: Sequence[str]) -> bool:
    """Whether `surrogateescape` let something through."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return True
    return False
