"""A Redis-compatible server that keeps everything in memory and is reached through a Unix socket only."""

from __future__ import annotations

import asyncio
from pathlib import Path

from entresol.embedded.folders import Folders
from entresol.embedded.processes import Processes
from entresol.embedded.server import Server
from entresol.errors import ServerCommandError

_COMMAND_S = 5.0
_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "save": "",
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "volatile-lru",  # the cache's own state has no TTL and is never evicted
    "daemonize": "no",
}


class RedisServer(Server):
    """The cache's server. It is empty after every start."""

    def __init__(self, program: Path, folders: Folders, processes: Processes) -> None:
        sockets = folders.sockets("redis")
        super().__init__("redis", processes, sockets, folders.log("redis"))
        self.socket = sockets / "redis.sock"
        self._program = program

    @property
    def argv(self) -> list[str]:
        """Return the command line."""
        settings = {**_SETTINGS, "unixsocket": str(self.socket), "dir": str(self._folder)}
        return [
            str(self._program),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def url(self, database: int = 0) -> str:
        """Return the URL of one of its 16 databases."""
        return f"unix://{self.socket}?db={database}"

    async def command(self, *words: str, database: int = 0) -> str:
        """Run a command without blanks in its words and return the first line of the answer.

        Raises:
            ServerCommandError: the server is away, silent for 5 s, or refuses.
        """
        try:
            async with asyncio.timeout(_COMMAND_S):
                answer = await self._exchange(f"SELECT {database}\r\n{' '.join(words)}\r\n")
        except (OSError, TimeoutError) as error:
            raise ServerCommandError(f"redis gave no answer to {words[0]}: {error or 'time-out'}") from error
        if answer.startswith("-") or not answer:
            raise ServerCommandError(f"redis answered {words[0]} with: {answer}")
        return answer[1:]

    async def _exchange(self, lines: str) -> str:
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        try:
            writer.write(lines.encode())
            await reader.readline()  # of SELECT
            return (await reader.readline()).decode().strip()
        finally:
            writer.close()
            await writer.wait_closed()

    async def _prepare(self) -> None:
        self.socket.unlink(missing_ok=True)

    async def _answers(self, pid: int) -> bool:
        if not self.socket.exists():
            return False
        try:
            return await self.command("PING") == "PONG"
        except ServerCommandError:
            return False
