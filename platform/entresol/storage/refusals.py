"""What a plan does not write, as it would stop or break a running release, and what a person does instead."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from entresol.storage import retyping
from entresol.storage.identifiers import quote, quote_table
from entresol.storage.tables import ForeignKey, OneofCheck, Table, TableColumn, TableIndex


@dataclass(frozen=True, slots=True)
class Refusal:
    """A difference that is no addition: where, what, and the steps, in their order.

    `tolerable`: a server of the model can still work, as one of the release before has to when this is a newer
    release's doing.
    """

    element: str
    problem: str
    steps: tuple[str, ...]
    tolerable: bool = False

    def __str__(self) -> str:
        """Render as a heading and numbered steps."""
        steps = "".join(f"\n  {number}. {_indented(step)}" for number, step in enumerate(self.steps, 1))
        return f"{self.element}: {self.problem}{steps}"


def _indented(step: str) -> str:
    """Return a step whose later lines stand below its first."""
    return textwrap.indent(step, "     ").lstrip()


def _sql(text: str) -> str:
    """Return SQL of several lines as it stands within a step."""
    return "\n" + textwrap.indent(text, "  ")


def renamed(table: Table, column: TableColumn, before: TableColumn) -> Refusal:
    """Refuse a field whose column has its old name; a drop and an add would lose the values."""
    name, new = quote_table(table.name), quote(column.name)
    return Refusal(
        f"{table.name}.{column.name}",
        f"field {column.field} is kept in column {before.name}; a renamed field keeps its column",
        (
            f'Give the field [(entresol.options.v1.field).column = "{before.name}"]: nothing else is needed.',
            f"Only if the column must be renamed, expand: ALTER TABLE {name} ADD COLUMN {new} {column.type}; "
            f"COMMENT ON COLUMN {name}.{new} IS 'field {column.field}'; with a trigger that copies "
            f"{before.name} on every write, and a backfill in batches.",
            "Release the server that uses the new column, and wait until no older one runs.",
            f"Contract: drop the trigger, then ALTER TABLE {name} DROP COLUMN {quote(before.name)};",
        ),
    )


def retyped(table: Table, column: TableColumn, have: TableColumn) -> Refusal:
    """Refuse a change of type, which would rewrite the table under an exclusive lock."""
    element = f"{table.name}.{column.name}"
    problem = f"the column is {have.type}, the model wants {column.type}; changing a type rewrites the table"
    stopped = (
        "Where servers may stop: write this to the next file of your migrations (NNNN_title.sql), stop them, run "
        "`entresol migrate`, and start those of the new protos. Where a cast does not convert the values, write what "
        f"does.{_sql(retyping.at_once(table, column, have))}"
    )
    if not retyping.is_widened(column, have):
        beside = (
            "Where they may not: servers of both types would change or refuse each other's values. Leave the field as "
            "it is, add another one of the new type, set both wherever you write, fill the new one in batches, and "
            "remove the old one when nobody reads it."
        )
        return Refusal(element, problem, (stopped, beside))
    new = retyping.successor(column).name
    return Refusal(
        element,
        problem,
        (
            stopped,
            "Where they may not, expand, while all servers have the old protos. A file with"
            f"{_sql(retyping.expand(table, column, have))}\nThe next one begins with the line "
            f"`-- entresol: no transaction`, and has{_sql(retyping.backfill(table, column, have))}\n"
            "`entresol migrate`. Until the last step, a value that the old type cannot hold is refused.",
            f'In the protos give the field its new type, and [(entresol.options.v1.field).column = "{new}"]; run '
            "`entresol plan --write FOLDER` for what indexes it has, and `entresol migrate`; renew the servers.",
            "When no server has the old protos, contract: `entresol migrate` with one more file,"
            f"{_sql(retyping.contract(table, have))}",
        ),
    )


def not_null(table: Table, column: TableColumn) -> Refusal:
    """Refuse NOT NULL on a column that may hold nulls, which would read the table under an exclusive lock."""
    name, alter = quote_table(table.name), f"ALTER COLUMN {quote(column.name)}"
    check = quote(f"{column.name}_is_set")
    default = (
        "" if column.default is None else f" Before: ALTER TABLE {name} {alter} SET DEFAULT {column.default};"
    )
    return Refusal(
        f"{table.name}.{column.name}",
        "the column may hold nulls, the model wants NOT NULL",
        (
            f"Fill the nulls in batches.{default}",
            f"ALTER TABLE {name} ADD CONSTRAINT {check} CHECK ({quote(column.name)} IS NOT NULL) NOT VALID;",
            f"In a file of its own: ALTER TABLE {name} VALIDATE CONSTRAINT {check};",
            f"ALTER TABLE {name} {alter} SET NOT NULL, DROP CONSTRAINT {check};",
        ),
    )


def nullable(table: Table, column: TableColumn) -> Refusal:
    """Refuse to drop NOT NULL: servers of the release before would meet nulls they cannot read."""
    return Refusal(
        f"{table.name}.{column.name}",
        "the column is NOT NULL, the model wants it nullable",
        (
            "Wait until every running server has this version of the protos.",
            f"ALTER TABLE {quote_table(table.name)} ALTER COLUMN {quote(column.name)} DROP NOT NULL;",
        ),
    )


def no_default(table: Table, column: TableColumn) -> Refusal:
    """Refuse a NOT NULL column without a default, which the rows that exist cannot have."""
    return Refusal(
        f"{table.name}.{column.name}",
        "the new column is NOT NULL and has no default, so existing rows cannot have it",
        ("Make the field optional, or give the column a constant default.",),
    )


def unfilled(table: Table, column: TableColumn) -> Refusal:
    """Refuse a column that no field fills and no default either: every insert would fail."""
    return Refusal(
        f"{table.name}.{column.name}",
        "the column is NOT NULL without a default and the model has no field for it, so every insert fails",
        (
            f"ALTER TABLE {quote_table(table.name)} ALTER COLUMN {quote(column.name)} DROP NOT NULL;",
            "Or declare it: a field, or a server_column with a default.",
        ),
    )


def other_field(table: Table, column: TableColumn, have: TableColumn) -> Refusal:
    """Refuse to show the values of one field as those of another."""
    return Refusal(
        f"{table.name}.{column.name}",
        f"the column holds the values of field {have.field}, the model gives it to field {column.field}",
        (
            'Give the new field another column: [(entresol.options.v1.field).column = "..."].',
            "If it shall take the values over: "
            f"COMMENT ON COLUMN {quote_table(table.name)}.{quote(column.name)} IS 'field {column.field}';",
        ),
    )


def other_action(table: Table, key: ForeignKey, have: ForeignKey) -> Refusal:
    """Refuse another ON DELETE: the constraint would have to be dropped first."""
    name, new = quote_table(table.name), quote(f"{key.name}_new")
    return Refusal(
        f"{table.name}.{key.column}",
        f"constraint {have.name} says ON DELETE {have.on_delete}, the model wants {key.on_delete}",
        (
            f"ALTER TABLE {name} ADD CONSTRAINT {new} FOREIGN KEY ({quote(key.column)}) "
            f"REFERENCES {quote_table(key.target)} (name) ON DELETE {key.on_delete} NOT VALID;",
            f"In a file of its own: ALTER TABLE {name} VALIDATE CONSTRAINT {new};",
            f"ALTER TABLE {name} DROP CONSTRAINT {quote(have.name)};",
            f"ALTER TABLE {name} RENAME CONSTRAINT {new} TO {quote(key.name)};",
        ),
        tolerable=True,
    )


def missing_target(table: Table, key: ForeignKey) -> Refusal:
    """Refuse a reference to a table that neither exists nor is planned."""
    return Refusal(
        f"{table.name}.{key.column}",
        f"it refers to {key.target}, which does not exist and is not part of this plan",
        ("Plan the package of the other resource first, or both together.",),
        tolerable=True,
    )


def stale_check(table: Table, check: OneofCheck) -> Refusal:
    """Refuse to go on under a check that the model no longer has: writes it allows would fail."""
    columns = ", ".join(check.columns)
    return Refusal(
        f"{table.name}",
        f"constraint {check.name} allows one of ({columns}) only, the model no longer has that oneof",
        (f"ALTER TABLE {quote_table(table.name)} DROP CONSTRAINT {quote(check.name)};",),
        tolerable=True,
    )


def index_name(table: Table, index: TableIndex) -> Refusal:
    """Refuse an index whose name belongs to one of another definition."""
    columns = ", ".join(index.columns)
    return Refusal(
        f"{table.name} ({columns})",
        f"an index named {index.name} exists and is another one",
        (
            'Give the index another name in the proto, indexes: [{fields: [...] name: "..."}]; plan again.',
            f"When no older server runs: DROP INDEX CONCURRENTLY of the old {index.name}.",
        ),
    )


def primary_key(table: Table) -> Refusal:
    """Refuse a table that is keyed by something else than the resource's name."""
    return Refusal(
        table.name,
        f"the primary key is not ({', '.join(table.primary_key)}): the table was not made by this platform",
        ("Move its rows to a table of the resource, or give the resource another `table`.",),
    )


def other_partitions(table: Table, found: Table, made: Sequence[str]) -> Refusal:
    """Refuse to make a table one of days, or the other way round: its rows have to move. `made` makes the new one."""
    name, before = quote_table(table.name), f"before.{quote(table.bare_name)}"
    kept = [column for column in table.columns if column.name != "row_version" and found.column(column.name)]
    columns = ", ".join(quote(column.name) for column in kept)
    values = ", ".join(
        f"coalesce(entresol.time_of_name(name), {quote(column.name)}, now())"
        if column.name == table.partitioned_by
        else quote(column.name)
        for column in kept
    )
    moved = [
        "CREATE SCHEMA before;",
        f"ALTER TABLE {name} SET SCHEMA before;",
        *made,
        f"INSERT INTO {name} ({columns})\nSELECT {values}\nFROM {before};",
        f"DROP TABLE {before};",
        "DROP SCHEMA before;",
    ]
    if table.partitioned_by:
        moved.append(f"{made[-1]}  -- moves each row into its day")
    whats = (
        "not kept by the day, and the model wants that",
        "kept by the day, and the model wants no `events`",
    )
    return Refusal(
        table.name,
        f"the table is {whats[not table.partitioned_by]}; its rows have to move",
        (
            "Who reads or writes it waits meanwhile, and servers of the release before cannot start on it. Write this "
            f"to the next file of your migrations (NNNN_title.sql), and read it:{_sql(chr(10).join(moved))}",
            "`entresol migrate`, and renew the servers and the relay.",
        ),
    )


def index_of_days(table: Table, index: TableIndex) -> Refusal:
    """Refuse a new index over all days: PostgreSQL cannot build it beside writers in one statement."""
    name, columns = quote_table(table.name), ", ".join(index.columns)
    return Refusal(
        f"{table.name} ({columns})",
        f"index {index.name} is missing or invalid, and over days PostgreSQL cannot build one beside writers",
        (
            f"Where writers may wait for it: CREATE INDEX {quote(index.name)} ON {name} ({columns});",
            f"Where they may not: CREATE INDEX {quote(index.name)} ON ONLY {name} ({columns}); in a file that "
            "begins with `-- entresol: no transaction`, for each day CREATE INDEX CONCURRENTLY ... ON DAY "
            f"({columns}); ALTER INDEX {quote(index.name)} ATTACH PARTITION ...; `\\d+ {table.name}` lists the days.",
        ),
    )


def key_of_days(table: Table, key: ForeignKey) -> Refusal:
    """Refuse a new foreign key over all days: PostgreSQL would check every row while nobody can write."""
    return Refusal(
        f"{table.name}.{key.column}",
        f"foreign key {key.name} is missing, and over days PostgreSQL adds one only while nobody writes",
        (
            f"ALTER TABLE {quote_table(table.name)} ADD CONSTRAINT {quote(key.name)} FOREIGN KEY ({quote(key.column)}) "
            f"REFERENCES {quote_table(key.target)} (name) ON DELETE {key.on_delete};",
            "Or leave it unchecked: [(entresol.options.v1.field).on_delete = ON_DELETE_IGNORE].",
        ),
        tolerable=True,
    )
