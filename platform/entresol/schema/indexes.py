"""From the `indexes` of a resource's options to the model's, with names that PostgreSQL keeps whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from entresol.schema.columns import IDENTIFIER_BYTES_MAX
from entresol.schema.model import Field, Index


def parse_term(text: str) -> tuple[str, bool]:
    """Split `score desc` into the field and whether it descends; other words stay in the field."""
    field, _, direction = text.strip().rpartition(" ")
    if not field or direction not in ("asc", "desc"):
        return text.strip(), False
    return field.strip(), direction == "desc"


def read_index(table: str, fields: Mapping[str, Field], option: Any) -> Index:
    """Return one index; terms that name no stored field are left out (`rules_storage` reports them)."""
    terms = [parse_term(term) for term in option.fields]
    columns = tuple(
        (column.name, descending)
        for name, descending in terms
        if name in fields and (column := fields[name].column) is not None
    )
    name = option.name or default_name(table, [column for column, _ in columns], unique=option.unique)
    return Index(name, columns, option.unique)


def default_name(table: str, columns: Sequence[str], *, unique: bool) -> str:
    """Return `<table>_<columns>_idx` (or `_key`), cut and made distinct by a hash where it is too long."""
    suffix = "_key" if unique else "_idx"
    whole = "_".join([table.rpartition(".")[2], *columns])
    if len(whole) + len(suffix) <= IDENTIFIER_BYTES_MAX:
        return whole + suffix
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    kept = IDENTIFIER_BYTES_MAX - len(suffix) - len(digest) - 1
    return f"{whole[:kept]}_{digest}{suffix}"
