"""TABLES -> SQL: the text of every statement that a plan may contain. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from entresol.storage.identifiers import literal, quote, quote_table
from entresol.storage.tables import (
    TRIGGER,
    TRIGGER_FUNCTION,
    ForeignKey,
    OneofCheck,
    Table,
    TableColumn,
    TableIndex,
)


def create_table(table: Table, foreign_keys: Sequence[ForeignKey]) -> str:
    """Return CREATE TABLE with these of its foreign keys; the others follow when their tables exist."""
    width = max(len(quote(column.name)) for column in table.columns)
    alone = table.primary_key == ("name",)
    lines = [f"{quote(column.name):<{width}} {_definition(column, key=alone)}" for column in table.columns]
    if not alone:
        lines.append(f"PRIMARY KEY ({', '.join(map(quote, table.primary_key))})")
    lines += [f"CONSTRAINT {quote(check.name)} {_check(check)}" for check in table.checks]
    lines += [f"CONSTRAINT {quote(key.name)} {_foreign_key(key)}" for key in foreign_keys]
    body = ",\n    ".join(lines)
    by = f" PARTITION BY RANGE ({quote(table.partitioned_by)})" if table.partitioned_by else ""
    return f"CREATE TABLE {quote_table(table.name)} (\n    {body}\n){by};"


def make_days(table: str) -> str:
    """Return the statement that makes the first partitions."""
    return f"SELECT entresol.make_days({literal(quote_table(table))});"


def create_schema(schema: str) -> str:
    """Return CREATE SCHEMA."""
    return f"CREATE SCHEMA IF NOT EXISTS {quote(schema)};"


def add_column(table: str, column: TableColumn) -> str:
    """Return ADD COLUMN, instant because the column is nullable or has a constant default."""
    name = quote(column.name)
    return f"ALTER TABLE {quote_table(table)} ADD COLUMN IF NOT EXISTS {name} {_definition(column)};"


def comment_column(table: str, column: TableColumn) -> str:
    """Return the COMMENT that keeps the number of the column's field."""
    return (
        f"COMMENT ON COLUMN {quote_table(table)}.{quote(column.name)} IS {literal(f'field {column.field}')};"
    )


def create_index(table: str, index: TableIndex, *, concurrently: bool) -> str:
    """Return CREATE INDEX; `concurrently` for tables that are in use."""
    unique = "UNIQUE " if index.unique else ""
    how = "CONCURRENTLY IF NOT EXISTS " if concurrently else ""
    where = f" WHERE {index.predicate}" if index.predicate else ""
    columns = ", ".join(index.columns)
    return f"CREATE {unique}INDEX {how}{quote(index.name)} ON {quote_table(table)} ({columns}){where};"


def create_trigger(table: str) -> str:
    """Return the trigger that stamps row_version."""
    return (
        f"CREATE OR REPLACE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE ON {quote_table(table)}\n"
        f"    FOR EACH ROW EXECUTE FUNCTION {TRIGGER_FUNCTION}();"
    )


def replica_identity(table: str, index: str) -> str:
    """Return the statement that makes change events of deletes carry the name and the old version."""
    return f"ALTER TABLE {quote_table(table)} REPLICA IDENTITY USING INDEX {quote(index)};"


def replica_identity_published(table: str, index: str) -> str:
    """Return the same for a published table: with its list of columns, which must never cover less."""
    return f"DO $$ BEGIN\n    {replica_identity(table, index)}\n    PERFORM {_publish(table)};\nEND $$;"


def publish(table: str) -> str:
    """Return the statement that lets the relay hear of every change from here on."""
    return f"SELECT {_publish(table)};"


def _publish(table: str) -> str:
    return f"entresol.publish({literal(quote_table(table))})"


def add_foreign_key(table: str, key: ForeignKey, *, validated: bool) -> str:
    """Return ADD CONSTRAINT; not `validated` where there may be rows, which it would read under a lock."""
    return _add_constraint(table, key.name, _foreign_key(key), validated)


def add_check(table: str, check: OneofCheck) -> str:
    """Return ADD CONSTRAINT of a oneof, not validated."""
    return _add_constraint(table, check.name, _check(check), validated=False)


def validate(table: str, constraint: str) -> str:
    """Return VALIDATE CONSTRAINT, which reads the table beside its writers."""
    return f"ALTER TABLE {quote_table(table)} VALIDATE CONSTRAINT {quote(constraint)};"


def _add_constraint(table: str, name: str, definition: str, validated: bool) -> str:
    end = "" if validated else " NOT VALID"
    return f"ALTER TABLE {quote_table(table)} ADD CONSTRAINT {quote(name)}\n    {definition}{end};"


def _definition(column: TableColumn, *, key: bool = False) -> str:
    null = "" if column.nullable else " NOT NULL"
    default = f" DEFAULT {column.default}" if column.default is not None else ""
    if key and column.name == "name":
        return f"{column.type} PRIMARY KEY"
    return f"{column.type}{null}{default}"


def _foreign_key(key: ForeignKey) -> str:
    target = f"{quote_table(key.target)} (name)"
    return f"FOREIGN KEY ({quote(key.column)}) REFERENCES {target} ON DELETE {key.on_delete}"


def _check(check: OneofCheck) -> str:
    return f"CHECK (num_nonnulls({', '.join(quote(column) for column in check.columns)}) <= 1)"
