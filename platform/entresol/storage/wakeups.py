"""Wake-ups: workers hear that there are jobs as soon as they are committed. They look by themselves, too.

NOTIFY takes one lock for all databases from before a transaction's commit until after it. So none is part of a
transaction that does anything else, all that one process commits within a moment is told at once, and no process
tells while another does: who has not told yet when we find that tells of our commit, too.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable

from entresol.errors import EntresolError, StoreUnavailableError
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_query
from entresol.storage.connections import ServerConnection
from entresol.storage.deadline import Deadline
from entresol.storage.pools import Pools
from entresol.storage.sqlstate import DRIVER_ERRORS, translated

log = logging.getLogger(__name__)

CHANNEL = "entresol_jobs"
MOMENT_S = 0.02
_LOCK = 0x656E7472  # of the database's advisory locks
_TELL = f"SELECT pg_notify('{CHANNEL}', '') WHERE pg_try_advisory_xact_lock({_LOCK})"
_SETTLE = read_query("jobs/settle")
_SETTLED_MAX = 1000  # in one statement
_PING_S = 10.0
_AGAIN_S = 1.0


class Wakeups:
    """Tells the workers of a database."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools.queue
        self._telling: asyncio.Task[None] | None = None
        self._again = False
        self._followers: dict[uuid.UUID, None] = {}  # whose waiting is to be settled

    def tell(self, followers: Iterable[uuid.UUID] = ()) -> None:
        """Tell workers to look, now or in a moment, and settle what these jobs wait for; that it fails is no harm."""
        self._followers |= dict.fromkeys(followers)
        self._again = True
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="entresol wake-up")

    async def _tell(self) -> None:
        try:
            while self._again or self._followers:
                self._again = False
                deadline = self._pools.deadline(None)
                with translated({}):
                    async with self._pools.write(timeout_s=deadline.left_s()) as connection:
                        await self._settle(connection, deadline)
                        await connection.fetch(_TELL, timeout=deadline.left_s())
                await asyncio.sleep(MOMENT_S)
        except EntresolError as error:
            log.info("workers were not told of jobs, and will find them: %s", error.message)
        finally:
            self._telling = None
            self._followers.clear()  # workers settle what is left

    async def _settle(self, connection: ServerConnection, deadline: Deadline) -> None:
        """Settle what some followers wait for; one of whose jobs another locks is tried again in a moment."""
        asked = [*self._followers][:_SETTLED_MAX]
        if asked:
            records = await connection.fetch(_SETTLE, asked, timeout=deadline.left_s())
            again = {record["id"] for record in records if not record["is_settled"]}
            for id_ in asked:
                del self._followers[id_]
            self._followers |= dict.fromkeys(again)


async def listen(url: str, heard: Callable[[], None]) -> None:
    """Call `heard` whenever workers are told, for ever; while the database is away nobody is."""
    while True:
        try:
            async with connect_primary(url, {"application_name": "entresol wake-up"}) as connection:
                await connection.add_listener(CHANNEL, lambda *_: heard())
                heard()  # of what was told before
                while True:
                    await asyncio.sleep(_PING_S)
                    await connection.execute("SELECT 1", timeout=_PING_S)
        except (*DRIVER_ERRORS, StoreUnavailableError):
            await asyncio.sleep(_AGAIN_S)
