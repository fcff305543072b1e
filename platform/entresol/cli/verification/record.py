"""Keeps what a run finds in the database, while it goes on and at its end, for the console."""

from __future__ import annotations

import asyncio
import logging
import uuid

from entresol.cli.verification.findings import Findings
from entresol.clock import Clock
from entresol.errors import EntresolError
from entresol.storage.verifications import Verifications

KEEP_S = 10.0

log = logging.getLogger(__name__)


class Record:
    """One run. That it cannot be kept spoils no run: what was found is told all the same."""

    def __init__(self, verifications: Verifications, findings: Findings, clock: Clock) -> None:
        self._verifications = verifications
        self._findings = findings
        self._clock = clock
        self._id = uuid.uuid4()

    async def keep_on(self) -> None:
        """Keep it again and again, until this is cancelled."""
        while True:
            await asyncio.sleep(KEEP_S)
            await self.keep()

    async def keep(self) -> None:
        """Keep what was found until now, if it has begun."""
        facts = self._findings.facts()
        if not self._findings.began_s:
            return
        if not self._findings.ran_s:  # it goes on
            facts["ran"]["seconds"] = round(self._clock.now_s() - self._findings.began_s, 3)
        try:
            await self._verifications.keep(self._id, facts)
        except EntresolError as error:
            log.warning("the console will not show what was found: %s", error.message)
