"""What `entresol verify` found beside production: nines of consistency, by the age of writes, run by run."""

from __future__ import annotations

from collections.abc import Callable

from entresol.console.page import Ask, Page, View
from entresol.storage.verifications import Verifications

_SHOWN = 20


class VerificationPages:
    """The page of verifications. `target` tells where one would read."""

    def __init__(self, verifications: Verifications, target: Callable[[], str]) -> None:
        self._verifications = verifications
        self._target = target

    def pages(self) -> list[Page]:
        """Return it."""
        return [Page("GET", "/verification", self._list)]

    async def _list(self, _ask: Ask) -> View:
        found = await self._verifications.last(_SHOWN)
        ages = sorted({item["age_s"] for one in found for item in one.facts["consistency"]})
        return View("verification.html", {"runs": found, "ages": ages, "target": self._target()})
