"""The shape of a table, wanted by a resource or found in a database: one vocabulary, so that they compare."""

from __future__ import annotations

import re
from dataclasses import dataclass

from entresol.storage.identifiers import split_table

TRIGGER = "stamp_row_version"
TRIGGER_FUNCTION = "entresol.stamp_row_version"


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column. `field` is the number of the proto field it holds: what stays when the field is renamed.

    `default` is an SQL constant; in a catalog only whether there is one matters. `required`: no record of the model is
    without a value, so that the column may be NOT NULL.
    """

    name: str
    type: str
    nullable: bool
    default: str | None = None
    field: int | None = None
    comment: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class TableIndex:
    """An index. `columns` are as SQL writes them: `("author", "post_time DESC")`."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    predicate: str = ""
    valid: bool = True

    @property
    def definition(self) -> tuple[tuple[str, ...], bool, str]:
        """Return what makes two indexes the same, whatever their names."""
        return self.columns, self.unique, self.predicate


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference of one column to the `name` of another table (`schema.table`)."""

    name: str
    column: str
    target: str
    on_delete: str  # RESTRICT, CASCADE, SET NULL, NO ACTION, SET DEFAULT
    validated: bool = True


@dataclass(frozen=True, slots=True)
class OneofCheck:
    """At most one of these columns has a value."""

    name: str
    columns: tuple[str, ...]
    validated: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `name` is `schema.table`."""

    name: str
    columns: tuple[TableColumn, ...]
    indexes: tuple[TableIndex, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[OneofCheck, ...] = ()
    primary_key: tuple[str, ...] = ("name",)
    stamped: bool = True  # the row_version trigger exists and is enabled
    identity: str | None = None  # name of the index that is the replica identity
    published: bool = True  # the relay hears of changes
    title: str = ""  # the resource type
    partitioned_by: str = ""  # the column whose ranges are the partitions

    @property
    def bare_name(self) -> str:
        """Return the name without its schema."""
        return split_table(self.name)[1]

    def column(self, name: str) -> TableColumn | None:
        """Return the column of this name."""
        return next((column for column in self.columns if column.name == name), None)


_ALIASES = {
    "bool": "boolean",
    "char": "character",
    "decimal": "numeric",
    "float": "double precision",
    "float4": "real",
    "float8": "double precision",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "varchar": "character varying",
}
_TYPE = re.compile(r"(?P<base>[^(\[]+?)\s*(?P<size>\([^)]*\))?(?P<rest>\s[^\[(]*)?(?P<array>(\[\])*)")


def canonical_type(text: str) -> str:
    """Return one spelling for all spellings of a type: `timestamptz(3)` is `timestamp(3) with time zone`."""
    type_text, collate, collation = " ".join(text.strip().split()).partition(" COLLATE ")
    match = _TYPE.fullmatch(type_text.lower())
    if match is None:
        return text
    size = (match["size"] or "").replace(" ", "")
    base = _ALIASES.get(match["base"] + (match["rest"] or ""), match["base"] + (match["rest"] or ""))
    if size and base.startswith("timestamp"):
        base, size = base.replace("timestamp", f"timestamp{size}", 1), ""
    return f"{base}{size}{match['array'] or ''}{collate}{collation}"
