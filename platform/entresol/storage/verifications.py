"""What verifications of the cache found: kept by who verifies, read by the console."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from entresol.storage.pools import Pools
from entresol.storage.schedules import run
from entresol.storage.sql import Statement

KEPT = 200  # runs
_KEEP = """
    WITH kept AS (
        INSERT INTO entresol.verifications (id, begin_time, facts) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET facts = EXCLUDED.facts, update_time = now()
    )
    DELETE FROM entresol.verifications
    WHERE id IN (SELECT id FROM entresol.verifications WHERE id <> $1 ORDER BY begin_time DESC OFFSET $4 - 1)"""
_LAST = (
    "SELECT id, begin_time, update_time, facts FROM entresol.verifications ORDER BY begin_time DESC LIMIT $1"
)


@dataclass(frozen=True, slots=True)
class Verification:
    """One run: `facts` is its report, as `entresol verify --json` has it, as of `update_time`."""

    id: uuid.UUID
    begin_time: datetime
    update_time: datetime
    facts: Mapping[str, Any]


class Verifications:
    """The last runs, of which the database keeps `KEPT`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def keep(self, id: uuid.UUID, facts: Mapping[str, Any]) -> None:
        """Keep what a run has found until now.

        Raises:
            EntresolError: the primary is away, or refuses.
        """
        begin_time = datetime.fromtimestamp(facts["ran"]["from_s"], UTC)
        await run(self._pools, Statement(_KEEP, (id, begin_time, json.dumps(facts), KEPT)))

    async def last(self, count: int) -> list[Verification]:
        """Return runs, the one that began last first."""
        records = await run(self._pools, Statement(_LAST, (count,)))
        return [
            Verification(one["id"], one["begin_time"], one["update_time"], json.loads(one["facts"]))
            for one in records
        ]
