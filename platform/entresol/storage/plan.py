"""MODEL, CATALOG -> MIGRATION: the additive SQL that a database lacks, for a person to read and commit.

Pure, except `write_files`. What is no addition is refused with its steps (`refusals.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from entresol.errors import ConfigurationError
from entresol.schema.model import Model, Resource
from entresol.storage import comparison, ddl, refusals
from entresol.storage.catalog import Catalog
from entresol.storage.comparison import Statement, Step
from entresol.storage.identifiers import split_table
from entresol.storage.refusals import Refusal
from entresol.storage.tables import ForeignKey, Table
from entresol.storage.wanted import table_of

__all__ = ["Plan", "Refusal", "Statement", "next_file", "plan", "write_files"]

NO_TRANSACTION = "-- entresol: no transaction"
_ADDED = """\
-- Written by `entresol plan`. Read it, change it if you know better, and commit it.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';
"""
# Nothing here blocks readers or writers, so it may wait for long transactions and take its time.
_CONCURRENT = f"""\
{NO_TRANSACTION}
-- Written by `entresol plan`. Every statement may run again: an interrupted file is started anew.
SET lock_timeout = '60s';
SET statement_timeout = 0;
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, in order, and what was refused."""

    statements: tuple[Statement, ...] = ()
    refused: tuple[Refusal, ...] = ()

    def texts(self) -> tuple[str, ...]:
        """Return the files: what runs in a transaction, then what cannot. Either may be absent."""
        added = [statement for statement in self.statements if statement.in_transaction]
        concurrent = [statement for statement in self.statements if not statement.in_transaction]
        files = ((_ADDED, added), (_CONCURRENT, concurrent))
        return tuple(head + _body(statements) for head, statements in files if statements)


def plan(model: Model, catalog: Catalog, *, only: str | Iterable[str] | None = None) -> Plan:
    """Return what `catalog` lacks for `model`; `only` names packages or resource types."""
    tables = [table_of(resource, model) for resource in _selected(model, only)]
    new = _in_order([table for table in tables if table.name not in catalog.tables])
    steps: list[Step] = [*_schemas(new, catalog), *_create(new, catalog)]
    for table in tables:
        if table.name in catalog.tables:
            known = {*catalog.tables, *(other.name for other in new)}
            steps += _alter(table, catalog, known)
    return Plan(
        tuple(step for step in steps if isinstance(step, Statement)),
        tuple(step for step in steps if isinstance(step, Refusal)),
    )


def command(model: Model, migrations: str) -> str:
    """Return the command that writes the first migration of a model, as a person would name its folder and file."""
    resources = list(model.resources.values())
    folder = resources[0].message.partition(".")[0] if resources else "service"
    title = resources[0].plural if len(resources) == 1 else folder
    return f"entresol plan --write {migrations}/{folder} --title {title}"


def next_file(folder: Path, title: str) -> Path:
    """Return the path of the next migration in `folder`: `0002_title.sql`."""
    numbers = [int(path.name[:4]) for path in folder.glob("[0-9][0-9][0-9][0-9]_*.sql")]
    words = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "migration"
    return folder / f"{max(numbers, default=0) + 1:04}_{words}.sql"


def write_files(planned: Plan, folder: Path, title: str) -> list[Path]:
    """Write the plan's files into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for text in planned.texts():
        suffix = " concurrently" if text.startswith(NO_TRANSACTION) else ""
        paths.append(next_file(folder, title + suffix))
        paths[-1].write_text(text, encoding="utf-8")
    return paths


def _selected(model: Model, only: str | Iterable[str] | None) -> list[Resource]:
    resources = list(model.resources.values())
    if only is None:
        return resources
    names = [only] if isinstance(only, str) else list(only)
    for name in names:
        if not any(_is_named(resource, name) for resource in resources):
            exist = ", ".join(sorted(resource.type for resource in resources))
            raise ConfigurationError(f"{name} is no package or resource type; the resources are {exist}")
    return [resource for resource in resources if any(_is_named(resource, name) for name in names)]


def _is_named(resource: Resource, name: str) -> bool:
    return name in (resource.type, resource.message) or resource.message.startswith(f"{name}.")


def _in_order(tables: Sequence[Table]) -> list[Table]:
    """Return the tables so that each stands behind those it refers to; of a cycle, the first comes first."""
    waiting, done = list(tables), list[Table]()
    while waiting:
        names = {table.name for table in waiting}
        ready = (
            t for t in waiting if all(k.target == t.name or k.target not in names for k in t.foreign_keys)
        )
        done.append(next(ready, waiting[0]))
        waiting.remove(done[-1])
    return done


def _schemas(new: Sequence[Table], catalog: Catalog) -> Iterator[Statement]:
    exist = {"public", *(split_table(name)[0] for name in catalog.tables)}
    for schema in dict.fromkeys(split_table(table.name)[0] for table in new):
        if schema not in exist:
            yield Statement("", ddl.create_schema(schema))


def _create(new: Sequence[Table], catalog: Catalog) -> Iterator[Step]:
    planned = {table.name for table in new}
    made = set(catalog.tables)
    later: list[tuple[Table, ForeignKey]] = []
    for table in new:
        made.add(table.name)
        yield from comparison.create(table, [key for key in table.foreign_keys if key.target in made])
        for key in table.foreign_keys:
            if key.target not in made | planned:
                yield refusals.missing_target(table, key)
            elif key.target not in made:
                later.append((table, key))
    for table, key in later:
        yield Statement(table.title, ddl.add_foreign_key(table.name, key, validated=True))


def _alter(table: Table, catalog: Catalog, known: set[str]) -> Iterator[Step]:
    for key in table.foreign_keys:
        if key.target not in known:
            yield refusals.missing_target(table, key)
    table = replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.target in known))
    schema = split_table(table.name)[0]
    others = (other for other in catalog.tables.values() if other.name != table.name)
    taken = {
        index.name for other in others if split_table(other.name)[0] == schema for index in other.indexes
    }
    yield from comparison.alter(table, catalog.tables[table.name], taken)


def _body(statements: Sequence[Statement]) -> str:
    """Return the statements, with an empty line and the resource's type before those of each table."""
    lines: list[str] = []
    title = ""
    for statement in statements:
        if statement.title != title:
            lines += ["", f"-- {statement.title}"]
            title = statement.title
        lines.append(statement.sql)
    return "\n".join(lines) + "\n"
