"""TABLE -> SQL: what a person runs to give a column another type, at once or beside running servers. Pure.

It is told and not written to files: whether a cast converts the values, both ways, only a person can say.
"""

from __future__ import annotations

from dataclasses import replace

from entresol.storage import ddl
from entresol.storage.identifiers import fitted, quote, quote_table
from entresol.storage.tables import Table, TableColumn


def at_once(table: Table, column: TableColumn, have: TableColumn) -> str:
    """Return the statement that rewrites the table, under a lock that nobody reads or writes beside."""
    name = quote(column.name)
    converted = f"{name}::{column.type}"
    if have.nullable and not column.nullable and column.default is not None:
        converted = f"COALESCE({converted}, {column.default})"
    actions = ["DROP DEFAULT", f"TYPE {column.type} USING {converted}"]
    actions += [] if column.default is None else [f"SET DEFAULT {column.default}"]
    if have.nullable != column.nullable:
        actions.append("DROP NOT NULL" if column.nullable else "SET NOT NULL")
    return (
        f"ALTER TABLE {quote_table(table.name)} {', '.join(f'ALTER COLUMN {name} {one}' for one in actions)};"
    )


def is_widened(column: TableColumn, have: TableColumn) -> bool:
    """Tell whether the new type has all values of the old one, and both columns say alike that there is none.

    Only then may servers of either run side by side: each write goes to the other column and back as it was.
    """
    is_wider = (have.type, column.type) == ("integer", "bigint")
    is_alike = (have.nullable, have.default is None) == (column.nullable, column.default is None)
    return is_wider and is_alike


def successor(column: TableColumn) -> TableColumn:
    """Return the column that is to take the place of one with another type; existing rows can have it."""
    nullable = column.nullable or column.default is None
    return replace(column, name=fitted(f"{column.name}_new"), nullable=nullable)


def expand(table: Table, column: TableColumn, have: TableColumn) -> str:
    """Return what adds the successor, and a trigger by which servers of either column see each other's writes.

    An insert of an older server leaves the successor at its default, one of a newer server sets it.
    """
    new = successor(column)
    was, becomes = quote(have.name), quote(new.name)
    added = ddl.add_column(table.name, new)
    comment = "" if new.field is None else f"{ddl.comment_column(table.name, new)}\n"
    return f"""\
{added}
{comment}CREATE FUNCTION {_function(table, have)}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.{becomes} IS NOT DISTINCT FROM {new.default or "NULL"}
        OR TG_OP = 'UPDATE' AND NEW.{was} IS DISTINCT FROM OLD.{was}
    THEN NEW.{becomes} := NEW.{was}::{new.type};
    ELSIF TG_OP = 'INSERT' OR NEW.{becomes} IS DISTINCT FROM OLD.{becomes}
    THEN NEW.{was} := NEW.{becomes}::{have.type};
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER {_trigger(have)} BEFORE INSERT OR UPDATE ON {quote_table(table.name)}
    FOR EACH ROW EXECUTE FUNCTION {_function(table, have)}();"""


def backfill(table: Table, column: TableColumn, have: TableColumn) -> str:
    """Return what fills the successor in batches, each committed by itself; it may be run again."""
    name, becomes = quote_table(table.name), quote(successor(column).name)
    value = f"{quote(have.name)}::{column.type}"
    return f"""\
SET statement_timeout = 0;
DO $$
DECLARE
    batch text[];
    latest text := '';
BEGIN
    LOOP
        batch := ARRAY(SELECT name FROM {name} WHERE name > latest ORDER BY name LIMIT 1000);
        EXIT WHEN batch = '{{}}';
        UPDATE {name} SET {becomes} = {value}
            WHERE name = ANY (batch) AND {becomes} IS DISTINCT FROM {value};
        COMMIT;
        latest := batch[cardinality(batch)];
    END LOOP;
END $$;"""  # noqa: S608 - names are quoted, types are the model's


def contract(table: Table, have: TableColumn) -> str:
    """Return what removes the trigger, and the column that no server uses any more."""
    name = quote_table(table.name)
    return (
        f"DROP TRIGGER {_trigger(have)} ON {name};\nDROP FUNCTION {_function(table, have)}();\n"
        f"ALTER TABLE {name} DROP COLUMN {quote(have.name)};"
    )


def _trigger(have: TableColumn) -> str:
    return quote(fitted(f"keep_{have.name}"))


def _function(table: Table, have: TableColumn) -> str:
    schema = table.name.partition(".")[0]
    return f"{quote(schema)}.{quote(fitted(f'{table.bare_name}_keep_{have.name}'))}"
