"""SQL identifiers: quoted only where PostgreSQL needs it (migrations are read), and never too long."""

from __future__ import annotations

import hashlib
import re

LENGTH_MAX = 63  # bytes; PostgreSQL cuts longer names without an error
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# The key words that PostgreSQL 15 to 18 do not accept as a bare name everywhere (appendix C of its manual).
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean
    both case cast char character check coalesce collate collation column concurrently constraint create
    cross current_catalog current_date current_role current_schema current_time current_timestamp
    current_user dec decimal default deferrable desc distinct do else end except exists extract false
    fetch float for foreign freeze from full grant greatest group grouping having ilike in initially
    inner inout int integer intersect interval into is isnull join json_array json_arrayagg json_exists
    json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral
    leading least left like limit localtime localtimestamp merge_action national natural nchar none
    normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay placing
    position precision primary real references returning right row select session_user setof similar
    smallint some substring symmetric system_user table tablesample then time timestamp to trailing
    treat trim true union unique user using values varchar variadic verbose when where window with
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable
""",
    )
)


def quote(name: str) -> str:
    """Return `name` as SQL writes it."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as an SQL string constant."""
    return "'" + text.replace("'", "''") + "'"


def split_table(table: str) -> tuple[str, str]:
    """Return schema and name of a resource's table; `public` when it names no schema."""
    schema, dot, name = table.rpartition(".")
    return (schema if dot else "public"), name


def full_name(table: str) -> str:
    """Return `schema.table`, the form that replication and the catalog use."""
    return ".".join(split_table(table))


def quote_table(table: str) -> str:
    """Return the table, always with its schema, as SQL writes it."""
    return ".".join(quote(part) for part in split_table(table))


def fitted(name: str) -> str:
    """Return `name`, or its beginning and a hash of all of it when PostgreSQL would cut it."""
    if len(name.encode()) <= LENGTH_MAX:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name.encode()[: LENGTH_MAX - 9].decode(errors="ignore") + "_" + digest
