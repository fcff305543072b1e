"""What an import asks of a transaction beyond inserting: how far it is, what is missing, and a way back."""
# ruff: noqa: S608 - identifiers are quoted, and values are parameters

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from entresol.schema.model import Resource
from entresol.storage.identifiers import quote_table
from entresol.storage.transaction import Transaction

_READ = "SELECT line FROM entresol.imports WHERE key = $1"
_WRITE = """
    INSERT INTO entresol.imports (key, line) VALUES ($1, $2)
    ON CONFLICT (key) DO UPDATE SET line = EXCLUDED.line, update_time = now()"""


async def line_reached(transaction: Transaction, key: str) -> int:
    """Return the last line that the import `key` has committed, 0 when it is new."""
    rows = await transaction.fetch(_READ, key)
    return int(rows[0]["line"]) if rows else 0


async def reach_line(transaction: Transaction, key: str, line: int) -> None:
    """Note that everything up to `line` is in, or rejected, once this transaction commits."""
    await transaction.execute(_WRITE, key, line)


async def missing(transaction: Transaction, resource: Resource, names: Collection[str]) -> list[str]:
    """Return those of `names` that no record has, sorted."""
    text = f"SELECT name FROM {quote_table(resource.table)} WHERE name = ANY($1)"
    rows = await transaction.fetch(text, sorted(names)) if names else []
    return sorted(set(names) - {row["name"] for row in rows})


@asynccontextmanager
async def savepoint(transaction: Transaction) -> AsyncIterator[None]:
    """Undo what the block did when it raises, and let the transaction go on."""
    await transaction.execute("SAVEPOINT entresol_import")
    try:
        yield
    except Exception:
        await transaction.execute("ROLLBACK TO SAVEPOINT entresol_import")
        raise
    await transaction.execute("RELEASE SAVEPOINT entresol_import")
