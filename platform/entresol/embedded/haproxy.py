"""An HAProxy that ends with whoever started it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from entresol.embedded.processes import Processes
from entresol.embedded.server import Server
from entresol.errors import ConfigurationError

_SYSTEM = ("/usr/sbin", "/usr/local/sbin")  # where packages put it, and the PATH of users does not look


def find_haproxy(program: str) -> Path | None:
    """Return HAProxy: `program` when given, else the system's, if there is one.

    Raises:
        ConfigurationError: there is no such program.
    """
    if program:
        if not Path(program).is_file():
            raise ConfigurationError(f"setting haproxy_bin: there is no program {program}")
        return Path(program)
    found = shutil.which("haproxy") or shutil.which("haproxy", path=":".join(_SYSTEM))
    return Path(found) if found else None


class Haproxy(Server):
    """One process over one configuration, which listens on `port` of the loopback address among others."""

    def __init__(
        self, program: Path, configuration: str, port: int, processes: Processes, folder: Path, log: Path
    ) -> None:
        super().__init__("haproxy", processes, folder, log)
        self._program = program
        self._configuration = configuration
        self._port = port
        self._file = folder / "haproxy.cfg"

    @property
    def argv(self) -> list[str]:
        """Return the command line: no daemon, for that would not end with its guard."""
        return [str(self._program), "-db", "-f", str(self._file)]

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._file.write_text, self._configuration)

    async def _answers(self, pid: int) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True
