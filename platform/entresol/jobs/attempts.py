"""One attempt at a job: run until it ends, its time is over, somebody cancels it, or it is no longer this worker's."""

from __future__ import annotations

import asyncio
import enum
import logging
from dataclasses import dataclass, field

from entresol.errors import DeadlineExceededError
from entresol.jobs.kinds import Kind, Reports
from entresol.storage.jobs import Claimed

log = logging.getLogger(__name__)

GRACE_S = 5.0  # for what was told to end


class Why(enum.Enum):
    """Why an attempt is told to end before it has."""

    CANCELLED = "cancelled"  # somebody asked for it
    RELEASED = "released"  # this worker ends: another may go on
    LOST = "lost"  # another worker has the job


class StoppedError(Exception):
    """The attempt was told to end."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(slots=True)
class Running:
    """An attempt under way. `end_s`, on the loop's clock, is when its time is over."""

    claimed: Claimed
    kind: Kind
    end_s: float
    reports: Reports = field(default_factory=Reports)
    left: asyncio.Future[bytes] | None = None  # what goes on though its time is over
    _told: asyncio.Future[Why] | None = None

    async def run(self) -> bytes:
        """Return the result.

        What does not end when it is told to is left behind after a grace: nothing that it still does counts.

        Raises:
            StoppedError: `stop` was called.
            DeadlineExceededError: the attempt's time is over.
            Exception: whatever the kind's function raises.
        """
        loop = asyncio.get_running_loop()
        self._told = loop.create_future()
        work = asyncio.ensure_future(self.kind.run(self.claimed, self.reports))
        try:
            await asyncio.wait(
                (work, self._told), timeout=self.end_s - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if not work.done():
                await self._end(work)
        if self._told.done():
            raise StoppedError(self._told.result())
        if loop.time() >= self.end_s:
            raise DeadlineExceededError(f"the attempt took more than {self.claimed.timeout_s:g} s")
        try:
            return work.result()
        except asyncio.CancelledError as error:  # a task of its own was, and nobody has told this one to end
            raise RuntimeError("the function was cancelled, and not by the platform") from error

    def stop(self, why: Why) -> None:
        """Tell the attempt to end."""
        if self._told is not None and not self._told.done():
            self._told.set_result(why)

    async def _end(self, work: asyncio.Future[bytes]) -> None:
        work.cancel()
        await asyncio.wait((work,), timeout=GRACE_S)
        if not work.done():
            self.left, self.reports.is_left = work, True
            log.error("an attempt at %s goes on though it was told to end", self.kind.name)
        elif not work.cancelled() and work.exception() is not None:
            log.warning("an attempt at %s failed while it ended", self.kind.name, exc_info=work.exception())
