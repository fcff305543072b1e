"""Whether a database can carry a model: asked when a server starts, which does not start when it cannot."""

from __future__ import annotations

from dataclasses import dataclass

from entresol.schema.model import Model
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import Session, read_catalog
from entresol.storage.plan import plan


@dataclass(frozen=True, slots=True)
class Lacks:
    """What a server cannot work without or against: a migration adds what is `missing`, a person what is `refused`."""

    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether a server cannot start."""
        return bool(self.missing or self.refused)

    def __str__(self) -> str:
        """Render as one sentence."""
        return "; ".join(self.missing + self.refused)


async def check_schema(database: str | Session, model: Model) -> Lacks:
    """Return what a server of `model` lacks; false when it may start.

    Columns, indexes and tables beside those of the model are no matter: a newer release may have added them.
    """
    if isinstance(database, str):
        async with connect_primary(database) as connection:
            return await check_schema(connection, model)
    catalog = await read_catalog(database)
    system = [f"the platform's own {name.replace('_', ' ')} is missing" for name in catalog.system_lacks]
    planned = plan(model, catalog)
    lacks = [statement.lacks for statement in planned.statements if statement.lacks]
    against = [
        f"{refusal.element}: {refusal.problem}" for refusal in planned.refused if not refusal.tolerable
    ]
    return Lacks((*system, *lacks), tuple(against))
