"""A bound on how fast a command works, so that it leaves room for those who are being served."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pace:
    """Keeps work at `rate` pieces a second on the average; None does not hold it up."""

    rate: float | None
    _started_s: float = field(default_factory=time.monotonic)

    async def keep(self, done: int) -> None:
        """Wait until `done` pieces, counted from the start, are not too many."""
        if self.rate is not None:
            await asyncio.sleep(self._started_s + done / self.rate - time.monotonic())
