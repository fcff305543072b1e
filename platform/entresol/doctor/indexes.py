"""Of tables and indexes: what the protos declare is there and valid, and what is large is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, note, size, warning
from entresol.schema.model import Model, Resource
from entresol.storage.catalog import Catalog
from entresol.storage.ddl import create_index
from entresol.storage.plan import plan
from entresol.storage.tables import Table, TableIndex
from entresol.storage.wanted import table_of

UNUSED_BYTES = 100 * 1024**2


def tables(facts: Facts) -> Iterator[Finding]:
    """Look whether the database has what servers of these protos do not start without, and nothing against them."""
    model, catalog = facts.asked.model, facts.catalog
    if model is None or catalog is None:
        return
    why = "`entresol serve` refuses to start"
    for name in catalog.system_lacks:
        yield error(
            "database", f"the platform's own {name.replace('_', ' ')} is missing", why, "entresol migrate"
        )
    planned = plan(model, catalog)
    for statement in planned.statements:
        if statement.lacks and not statement.lacks.startswith("index "):
            remedy = "entresol plan --write FOLDER, then entresol migrate"
            yield error(statement.title, statement.lacks, why, remedy)
    for refusal in planned.refused:
        if not refusal.tolerable:
            yield error(refusal.element, refusal.problem, why, "entresol plan tells the steps")


def missing(facts: Facts) -> Iterator[Finding]:
    """Look whether every order and filter that the protos declare has its index."""
    for resource, table, index in _wanted(facts.asked.model, facts.catalog):
        columns = ", ".join(index.columns)
        yield error(
            f"table {table.name}",
            f"has no valid index over ({columns})",
            f"List of {resource.plural} by it reads the whole table, and `entresol serve` refuses to start",
            "entresol migrate, or if no migration makes it entresol plan --write FOLDER; by hand: "
            + create_index(table.name, index, concurrently=not table.partitioned_by),
        )


def _wanted(model: Model | None, catalog: Catalog | None) -> Iterator[tuple[Resource, Table, TableIndex]]:
    """Yield the indexes that resources want, of tables that are there, and have not."""
    if model is None or catalog is None:
        return
    for resource in model.resources.values():
        wanted = table_of(resource, model)
        found = catalog.tables.get(wanted.name)
        if found is not None:
            valid = {index.definition for index in found.indexes if index.valid}
            yield from (
                (resource, wanted, index) for index in wanted.indexes if index.definition not in valid
            )


def invalid(facts: Facts) -> Iterator[Finding]:
    """Look for what a CREATE INDEX CONCURRENTLY left that was broken off."""
    server = facts.primary
    for index in server.indexes if server is not None else ():
        if not index.is_valid:
            yield warning(
                f"index {index.full_name}",
                f"of {index.table} is invalid",
                "no query reads it, and every write keeps it up to date",
                f"DROP INDEX CONCURRENTLY {index.full_name}, then make it again (entresol migrate does both), unless "
                "it is being made at this moment (pg_stat_progress_create_index)",
            )


def unused(facts: Facts) -> Iterator[Finding]:
    """Look for large indexes that no server reads: each counts for itself, so all must have answered."""
    if facts.silent or facts.primary is None or any("indexes" in one.unread for one in facts.databases):
        return
    scans: Counter[str] = Counter()
    for server in facts.databases:
        for index in server.indexes:
            scans[index.full_name] += index.scans
    for index in facts.primary.indexes:
        is_large = index.size_bytes > UNUSED_BYTES
        if is_large and index.is_valid and not index.is_needed and not scans[index.full_name]:
            yield note(
                f"index {index.full_name}",
                f"of {index.table} has {size(index.size_bytes)}, and no server has read it since it counts",
                "every write keeps it up to date, and it takes memory from those that are read",
                "take it out of the proto's indexes if nobody orders by it, and drop it a release later",
            )
