"""A file of rows: CSV with a header line, or NDJSON, read one row at a time."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entresol.errors import ConfigurationError

_SIZE_MAX = 16 * 1024 * 1024  # of one CSV cell
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row and the line it begins on, counted from 1. `problem` says why it could not be read."""

    line: int
    values: Mapping[str, Any]
    problem: str = ""


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

    def columns(self) -> tuple[str, ...]:
        """Return the columns of a CSV file's header, or the keys of the first NDJSON row.

        Raises:
            ConfigurationError: the file is empty.
        """
        if self.is_csv:
            with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
                header = next(csv.reader(file), None)
            if header:
                return tuple(header)
        else:
            for row in self.rows():
                return tuple(row.values)
        raise ConfigurationError(f"{self.path} holds no rows")

    def rows(self) -> Iterator[SourceRow]:
        """Yield every row; one that cannot be read is yielded with its problem."""
        return self._csv_rows() if self.is_csv else self._json_rows()

    def _csv_rows(self) -> Iterator[SourceRow]:
        csv.field_size_limit(_SIZE_MAX)
        with self.path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            before = reader.line_num
            for cells in reader:
                line, before = before + 1, reader.line_num
                if not cells:
                    continue
                problem = (
                    ""
                    if len(cells) == len(header)
                    else f"has {len(cells)} cells, the header has {len(header)}"
                )
                yield SourceRow(
                    line, dict(zip(header, cells, strict=False)), problem or _encoding_problem(cells)
                )

    def _json_rows(self) -> Iterator[SourceRow]:
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
            for line, text in enumerate(file, 1):
                if not text.strip():
                    continue
                try:
                    values = json.loads(text)
                except json.JSONDecodeError as error:
                    yield SourceRow(line, {}, f"is not JSON: {error.msg} at column {error.colno}")
                    continue
                if not isinstance(values, dict):
                    yield SourceRow(line, {}, "is not a JSON object")
                else:
                    yield SourceRow(line, values, _encoding_problem([text]))


def _encoding_problem(cells: list[str]) -> str:
    """Find what `surrogateescape` let through, so that a broken row is reported and not the whole file refused."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "is not valid UTF-8"
    return ""
