"""The statements of batches: what a run reads, map and reduce around it, and how the result replaces what was there.

Pure. What map and reduce see has three names: `run` (one row: key, start_time, end_time), `input` and `mapped`. Values
are constants in the text, because a COPY takes no parameters, and DuckDB is given the same texts.
"""
# ruff: noqa: S608 - identifiers are quoted, values are constants, and map and reduce are the application's own code

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from entresol.schema.model import Field, Resource, Role
from entresol.storage.identifiers import literal, quote, quote_table
from entresol.storage.rows import STAMPED
from entresol.storage.sql import name_of

RESULT = "entresol_result"


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of a run. `key_column` is the indexed column of its window, if there is one."""

    table: str
    columns: str
    condition: str
    key_column: str
    start_time: datetime | None
    end_time: datetime | None
    run: str

    def select(self, part: str = "true") -> str:
        """Return the statement that reads the rows for which `part` holds, too."""
        return f"SELECT {self.columns} FROM {self.table} WHERE {self.condition} AND {part}"

    def count(self) -> str:
        """Return the statement that counts the rows."""
        return f"SELECT count(*) FROM {self.table} WHERE {self.condition}"

    def parts_by_time(self, count: int) -> list[str]:
        """Return conditions that split the window into so many equal spans."""
        assert self.start_time is not None, "only a window has spans"
        assert self.end_time is not None, "a window has an end"
        step = (self.end_time - self.start_time) / count
        bounds = [self.start_time + step * number for number in range(count)] + [self.end_time]
        return [
            f"{self.key_column} >= {_moment(first)} AND {self.key_column} < {_moment(last)}"
            for first, last in pairwise(bounds)
        ]


def source_of(
    table: str,
    columns: Sequence[str],
    where: str,
    window: tuple[str, datetime, datetime] | None,
    key: str,
    *,
    is_indexed: bool,
) -> Source:
    """Return the source of a run over a table, of which no `columns` means all."""
    conditions = [f"({where})"] if where else []
    column, start_time, end_time = (quote(window[0]), *window[1:]) if window else ("", None, None)
    if start_time is not None and end_time is not None:
        conditions.append(f"{column} >= {_moment(start_time)} AND {column} < {_moment(end_time)}")
    times = [_moment(moment) if moment else "NULL::timestamptz" for moment in (start_time, end_time)]
    return Source(
        quote_table(table),
        ", ".join(map(quote, columns)) or "*",
        " AND ".join(conditions) or "true",
        column if is_indexed else "",
        start_time,
        end_time,
        f"SELECT {literal(key)}::text AS key, {times[0]} AS start_time, {times[1]} AS end_time",
    )


def parts_by_block(blocks: int, blocks_each: int) -> list[str]:
    """Return conditions that split a table of so many blocks; the last one has no end."""
    bounds = list(range(0, max(blocks, 1), blocks_each))
    spans = pairwise(bounds)
    parts = [f"ctid >= '({first},0)'::tid AND ctid < '({last},0)'::tid" for first, last in spans]
    return [*parts, f"ctid >= '({bounds[-1]},0)'::tid"]


def result_fields(resource: Resource) -> list[Field]:
    """Return the fields that a result gives: all that are stored but what SQL sets by itself."""
    return [field for field in resource.stored if field.role not in STAMPED]


def pushed_down(source: Source, map_: str, reduce: str, resource: Resource) -> str:
    """Return the one statement that does all of it where the rows are."""
    return (
        f"WITH run AS ({source.run}), input AS ({source.select()}), mapped AS ({_body(map_)}), "
        f"reduced AS ({_body(reduce)}) SELECT {_typed(resource)} FROM reduced"
    )


def mapped(source: Source, map_: str) -> str:
    """Return the statement of one part of the input, where that is a table `input`."""
    return f"WITH run AS ({source.run}), part AS ({_body(map_)}) SELECT * FROM part"


def reduced(source: Source, reduce: str, resource: Resource) -> str:
    """Return the statement that reduces a table `mapped`."""
    return f"WITH run AS ({source.run}), reduced AS ({_body(reduce)}) SELECT {_typed(resource)} FROM reduced"


@dataclass(frozen=True)
class ResultSql:
    """The statements by which what was copied to `RESULT` replaces the records of a scope."""

    resource: Resource

    @property
    def columns(self) -> list[str]:
        """Return the names of the columns that are copied."""
        own = [name_of(field) for field in result_fields(self.resource)]
        return [*own, "parent"] if self.resource.has_parent else own

    @property
    def create(self) -> str:
        """Make the table that ends with the transaction."""
        columns = ", ".join(map(quote, self.columns))
        table = quote_table(self.resource.table)
        return f"CREATE TEMPORARY TABLE {RESULT} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"

    @property
    def index(self) -> str:
        """Make sure that no name is there twice."""
        return f"ALTER TABLE {RESULT} ADD PRIMARY KEY (name)"

    @property
    def update(self) -> str:
        """Change the rows that differ; empty where there is nothing but a name."""
        changing = [quote(name) for name in self.columns if name not in ("name", "parent")]
        if not changing:
            return ""
        sets = [f"{name} = new.{name}" for name in changing] + self._stamps(Role.UPDATE_TIME, " = now()")
        old, new = (", ".join(f"{side}.{name}" for name in changing) for side in ("old", "new"))
        return (
            f"UPDATE {quote_table(self.resource.table)} AS old SET {', '.join(sets)} FROM {RESULT} AS new "
            f"WHERE old.name = new.name AND ({old}) IS DISTINCT FROM ({new})"
        )

    @property
    def insert(self) -> str:
        """Insert the rows that are not there."""
        columns = [quote(name) for name in self.columns]
        stamps = self._stamps(Role.CREATE_TIME) + self._stamps(Role.UPDATE_TIME)
        table = quote_table(self.resource.table)
        return (
            f"INSERT INTO {table} ({', '.join(columns + stamps)}) "
            f"SELECT {', '.join(columns + ['now()'] * len(stamps))} FROM {RESULT} AS new "
            f"WHERE NOT EXISTS (SELECT FROM {table} AS old WHERE old.name = new.name)"
        )

    def delete(self, parent: str) -> str:
        """Delete the rows of a parent, or of everything, that are in the result no more."""
        within = f"old.parent = {literal(parent)} AND " if parent else ""
        return (
            f"DELETE FROM {quote_table(self.resource.table)} AS old "
            f"WHERE {within}NOT EXISTS (SELECT FROM {RESULT} AS new WHERE new.name = old.name)"
        )

    def _stamps(self, role: Role, suffix: str = "") -> list[str]:
        field = self.resource.by_role.get(role)
        return [quote(name_of(field)) + suffix] if field else []


def _typed(resource: Resource) -> str:
    """Return the result's columns as the types that the table has, the same on every engine."""
    columns = [field.column for field in result_fields(resource) if field.column is not None]
    return ", ".join(
        f"CAST({quote(column.name)} AS {column.type.partition(' COLLATE')[0]}) AS {quote(column.name)}"
        for column in columns
    )


def _body(text: str) -> str:
    return text.strip().rstrip(";")


def _moment(moment: datetime) -> str:
    return f"{literal(moment.isoformat())}::timestamptz"
