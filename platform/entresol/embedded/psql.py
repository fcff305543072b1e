"""Runs SQL on an embedded server through the real psql."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from entresol.errors import ServerCommandError

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Psql:
    """The program, and the server's Unix socket."""

    program: Path
    sockets: Path
    user: str

    async def run(self, sql: str, *, port: int, database: str, timeout_s: float) -> str:
        """Run the statements one by one up to the first error; rows are lines of `|`-separated values.

        Raises:
            ServerCommandError: a statement failed, the server is away, or `timeout_s` passed.
        """
        return await asyncio.to_thread(self._run, sql, port, database, timeout_s)

    def _run(self, sql: str, port: int, database: str, timeout_s: float) -> str:
        target = ["-h", str(self.sockets), "-p", str(port), "-U", self.user, "-d", database]
        try:
            answer = subprocess.run(  # noqa: S603 (the SQL is standard input, not an argument)
                [self.program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *target, "-f", "-"],
                input=sql,
                env={"PATH": os.defpath, "PGCLIENTENCODING": "UTF8", "PGCONNECT_TIMEOUT": "10"},
                capture_output=True,
                encoding="utf-8",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ServerCommandError(f"psql gave no answer in {timeout_s:g} s to: {sql[:200]}") from None
        if answer.returncode != 0:
            raise ServerCommandError(answer.stderr.strip())
        return answer.stdout.strip()
