"""A streaming replica of the embedded primary, which can be delayed, promoted and made anew."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import Any

from entresol.embedded.polling import until
from entresol.embedded.postgres import USER, PostgresServer, Primary
from entresol.errors import ServerCommandError, ServerStartError
from entresol.positions import lsn_text

_CLONE_S = 600.0
_CATCH_UP_S = 15.0
_RELOAD_S = 5.0


class Replica(PostgresServer):
    """A server that follows the primary and answers reads."""

    def __init__(self, name: str, *parts: Any, primary: Primary) -> None:
        super().__init__(name, *parts)
        self._primary = primary
        self._source: PostgresServer = primary

    async def create(self) -> None:
        """Copy the data folder of the primary, which must not have run yet."""
        await self._clone(["cp", "-Rp", f"{self._primary.data}/.", str(self.data)])

    async def rebuild(self) -> None:
        """Throw the data away, copy what it follows and follow that: after `promote`, or when left behind."""
        await self.kill()
        await asyncio.to_thread(shutil.rmtree, self.data)
        argv = [
            self._programs.program("pg_basebackup"),
            "-D",
            str(self.data),
            "-h",
            str(self._source.sockets),
        ]
        await self._clone([*argv, "-p", str(self._source.port), "-U", USER, "--checkpoint=fast", "--no-sync"])
        await self.start()

    async def follow(self, source: PostgresServer) -> None:
        """Follow another server from now on, such as a replica that was promoted."""
        self._source = source
        await self.rebuild()

    async def catch_up(self) -> None:
        """Start with the data of an earlier run, or with new ones if those cannot follow the primary."""
        if not (self.data / "standby.signal").exists():
            await self.rebuild()
            return
        try:
            await self.start()
            await self.set_delay(0)
            await self.wait_for(await self._primary.position(), timeout_s=_CATCH_UP_S)
        except (ServerStartError, ServerCommandError):
            await self.rebuild()

    async def set_delay(self, milliseconds: int) -> None:
        """Replay each commit no sooner than this after it was made; 0 ends the delay. It outlives a restart."""
        await self.psql(f"ALTER SYSTEM SET recovery_min_apply_delay = {milliseconds:d}", database="postgres")
        await self.psql("SELECT pg_reload_conf()", database="postgres")

        async def is_set() -> bool:
            sql = "SELECT setting FROM pg_settings WHERE name = 'recovery_min_apply_delay'"
            return await self.psql(sql, database="postgres") == str(milliseconds)

        # The server tells its other processes before it starts a session that shows the new value.
        if not await until(is_set, _RELOAD_S):
            raise ServerCommandError(f"{self.name} has not taken the delay within {_RELOAD_S:g} s")

    async def promote(self) -> None:
        """Make it a primary of its own, which accepts writes on return; it follows again after `rebuild`."""
        await self.psql("SELECT pg_promote(true, 30)", database="postgres", timeout_s=35)

    async def replay_position(self) -> int:
        """Return the position up to which it has replayed."""
        return int(await self.psql("SELECT pg_last_wal_replay_lsn() - '0/0'::pg_lsn", database="postgres"))

    async def wait_for(self, position: int, *, timeout_s: float = 10.0) -> None:
        """Return when it has replayed up to `position`; it is the server that polls.

        Raises:
            ServerCommandError: it has not within `timeout_s`, or is away.
        """
        lsn = lsn_text(position)
        # COMMIT lets go of the snapshot, which could hold up the very replay that is waited for.
        sql = f"""
            SET statement_timeout = {round(timeout_s * 1000)};
            DO $$ BEGIN
                WHILE pg_last_wal_replay_lsn() < '{lsn}' LOOP PERFORM pg_sleep(0.002); COMMIT; END LOOP;
            END $$"""
        await self.psql(sql, database="postgres", timeout_s=timeout_s + 5)

    async def _clone(self, argv: list[str]) -> None:
        await self._processes.run(f"{self.name} copy", argv, self.data.parent, self.log, timeout_s=_CLONE_S)
        # Last, and a replica without it is made anew: a copy that was cut short never starts as a primary.
        signal, owner = self.data / "standby.signal", self.data.stat()
        signal.touch()
        os.chown(signal, owner.st_uid, owner.st_gid)

    def _settings(self) -> dict[str, str]:
        followed = self._source
        source = f"host='{followed.sockets}' port={followed.port} user={USER} application_name={self.name}"
        return {**super()._settings(), "primary_conninfo": source}
