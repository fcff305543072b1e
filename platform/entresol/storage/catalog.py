"""DATABASE -> TABLES: what a live database has, in the same shapes as what the model wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import TypeAlias

import asyncpg

from entresol.storage.connections import Connection, PooledConnection
from entresol.storage.tables import ForeignKey, OneofCheck, Table, TableColumn, TableIndex

Session: TypeAlias = "Connection | PooledConnection"
_TIMEOUT_S = 30.0
_FIELD = re.compile(r"field (\d+)")
_ONEOF = re.compile(r"CHECK \(\(num_nonnulls\(([^()]+)\) <= 1\)\)( NOT VALID)?")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The tables of a database by `schema.table`, and which of the platform's own objects it lacks."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    system_lacks: tuple[str, ...] = ()


async def read_catalog(connection: Session) -> Catalog:
    """Read the whole catalog in one consistent snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        columns = _by_table(await _fetch(connection, "catalog_columns"))
        indexes = _by_table(await _fetch(connection, "catalog_indexes"))
        constraints = _by_table(await _fetch(connection, "catalog_constraints"))
        stamped = _by_table(await _fetch(connection, "catalog_triggers"))
        published = _by_table(await _fetch(connection, "catalog_published"))
        partitioned = {row["table"]: row["column"] for row in await _fetch(connection, "catalog_partitioned")}
        system_lacks = await read_system_lacks(connection)
    tables = {
        name: replace(
            _table(name, rows, indexes.get(name, []), constraints.get(name, [])),
            stamped=name in stamped,
            published=name in published,
            partitioned_by=partitioned.get(name, ""),
        )
        for name, rows in columns.items()
    }
    return Catalog(tables, system_lacks)


async def read_system_lacks(connection: Session) -> tuple[str, ...]:
    """Return which of the platform's own objects a database lacks."""
    (system,) = await _fetch(connection, "catalog_system")
    return tuple(name for name, exists in system.items() if not exists)


async def _fetch(connection: Session, query: str) -> list[asyncpg.Record]:
    return await connection.fetch(read_query(query), timeout=_TIMEOUT_S)


def read_query(name: str) -> str:
    """Return the SQL of `queries/<name>.sql`."""
    return (files("entresol.storage") / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def _by_table(rows: list[asyncpg.Record]) -> dict[str, list[asyncpg.Record]]:
    grouped: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        grouped.setdefault(row["table"], []).append(row)
    return grouped


def _table(
    name: str,
    columns: list[asyncpg.Record],
    indexes: list[asyncpg.Record],
    constraints: list[asyncpg.Record],
) -> Table:
    primary = next((tuple(row["columns"]) for row in indexes if row["primary"]), ())
    return Table(
        name=name,
        columns=tuple(_column(row) for row in columns),
        indexes=tuple(_index(row) for row in indexes if not row["primary"]),
        foreign_keys=tuple(_foreign_key(row) for row in constraints if row["is_foreign_key"]),
        checks=tuple(check for row in constraints if (check := _check(row)) is not None),
        primary_key=primary,
        identity=next((row["name"] for row in indexes if row["identity"]), None),
    )


def _column(row: asyncpg.Record) -> TableColumn:
    match = _FIELD.match(row["comment"] or "")
    number = int(match[1]) if match else None
    return TableColumn(row["name"], row["type"], row["nullable"], row["default"], number, row["comment"])


def _index(row: asyncpg.Record) -> TableIndex:
    return TableIndex(row["name"], tuple(row["columns"]), row["unique"], row["predicate"], row["valid"])


def _foreign_key(row: asyncpg.Record) -> ForeignKey:
    return ForeignKey(row["name"], row["column"], row["target"], row["on_delete"], row["validated"])


def _check(row: asyncpg.Record) -> OneofCheck | None:
    """Read a CHECK as that of a oneof; any other is none of the platform's business."""
    match = None if row["is_foreign_key"] else _ONEOF.fullmatch(row["definition"])
    if match is None:
        return None
    columns = tuple(part.strip().strip('"') for part in match[1].split(","))
    return OneofCheck(row["name"], columns, row["validated"])
