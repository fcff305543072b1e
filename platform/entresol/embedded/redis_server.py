"""A Redis-compatible server that keeps everything in memory and is reached through a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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

    def __init__(self, program: Path, folders: Folders, processes: Processes, name: str = "redis") -> None:
        sockets = folders.sockets(name)
        super().__init__(name, processes, sockets, folders.log(name))
        self.socket = sockets / "redis.sock"
        self._program = program

    @property
    def argv(self) -> list[str]:
        """Return the command line."""
        settings = self._settings()
        return [
            str(self._program),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def url(self, database: int = 0) -> str:
        """Return the URL of one of its 16 databases."""
        return f"unix://{self.socket}?db={database}"

    async def command(self, *words: str, database: int = 0) -> str:
        """Run a command without blanks in its words and return the answer: a text, or the first line of another kind.

        Raises:
            ServerCommandError: the server is away, silent for 5 s, or refuses.
        """
        greeting = [*self._greeting, *([f"SELECT {database}"] if database else [])]
        try:
            async with asyncio.timeout(_COMMAND_S):
                answer = await self._exchange(greeting, " ".join(words))
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            raise ServerCommandError(
                f"{self.name} gave no answer to {words[0]}: {error or 'time-out'}"
            ) from error
        if answer.startswith("-") or not answer:
            raise ServerCommandError(f"{self.name} answered {words[0]} with: {answer}")
        return answer[1:]

    _greeting: tuple[str, ...] = ()  # what a connection says first

    def _settings(self) -> dict[str, str]:
        return {**_SETTINGS, "unixsocket": str(self.socket), "dir": str(self._folder)}

    async def _exchange(self, greeting: Sequence[str], command: str) -> str:
        """Return the answer to the last line, behind the sign of its kind."""
        reader, writer = await asyncio.open_unix_connection(str(self.socket))
        try:
            writer.write("".join(f"{line}\r\n" for line in (*greeting, command)).encode())
            for _ in greeting:
                await reader.readline()
            answer = (await reader.readline()).decode().strip()
            if answer.startswith("$") and answer != "$-1":  # a text, whose length comes first
                return f"${(await reader.readexactly(int(answer[1:]))).decode()}"
            return answer
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
