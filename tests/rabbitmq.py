"""A real RabbitMQ for tests: Debian's package, installed, or fetched once and unpacked, which needs no root.

Its node has a name, ports, a port mapper and folders of its own, on loopback alone, and ends with who started it.
"""

from __future__ import annotations

import asyncio
import tempfile
from functools import cache
from pathlib import Path
from typing import Self

import pytest
from tests.debian import PackageMissingError, unpacked

from entresol.embedded.postgres import free_port
from entresol.embedded.processes import Processes
from entresol.embedded.server import Server

_ERLANG = (
    "base asn1 crypto eldap ftp inets mnesia os-mon parsetools public-key runtime-tools snmp ssl syntax-tools "
    "tftp tools xmerl"
)
_PACKAGES = ("rabbitmq-server", *(f"erlang-{name}" for name in _ERLANG.split()))


@cache
def find_rabbitmq() -> Path:
    """Return the folder below which usr/lib has Erlang and RabbitMQ; the test is skipped where there is none."""
    if any(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")):
        return Path("/")
    try:
        return unpacked("rabbitmq", _PACKAGES)
    except PackageMissingError as missing:
        pytest.skip(f"there is no RabbitMQ on this machine: {missing}")


class _PortMapper(Server):
    """Erlang's, which nodes are found by; one that a node starts by itself would outlive it."""

    def __init__(self, program: Path, processes: Processes, folder: Path) -> None:
        super().__init__("epmd", processes, folder, folder / "epmd.log")
        self.port = free_port()
        self._program = program

    @property
    def argv(self) -> list[str]:
        return [str(self._program), "-port", str(self.port), "-address", "127.0.0.1"]

    async def _answers(self, pid: int) -> bool:
        return await _listens(self.port)


class RabbitMQ(Server):
    """One node. What it has confirmed outlives a kill."""

    def __init__(self, root: Path, processes: Processes, folder: Path) -> None:
        super().__init__("rabbitmq", processes, folder, folder / "rabbitmq.log")
        self.port, self._nodes_port = free_port(), free_port()
        self._erlang = root / "usr/lib/erlang"
        self._programs = next(self._erlang.glob("erts-*")) / "bin"
        (self._home,) = (root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*")
        self._mapper = _PortMapper(self._programs / "epmd", processes, folder)

    @classmethod
    async def open(cls) -> Self:
        """Return a node that runs, until `close`. It is bound to no event loop."""
        root = find_rabbitmq()
        folder = Path(tempfile.mkdtemp(prefix="entresol-rabbitmq-"))
        server = cls(root, Processes(None, [folder], folder / "guard.log"), folder)
        try:
            await server.start()
        except BaseException:
            await server.close()
            raise
        return server

    async def close(self) -> None:
        """End it and remove what it kept."""
        await self._processes.close()

    @property
    def url(self) -> str:
        """Return the URL of its virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    @property
    def argv(self) -> list[str]:
        """Return what the packages' shell scripts come to."""
        environment = {
            "ROOTDIR": self._erlang,
            "BINDIR": self._programs,
            "EMU": "beam",
            "PROGNAME": "erl",
            "HOME": self._folder,
            "ERL_LIBS": self._home / "plugins",
            "ERL_EPMD_PORT": self._mapper.port,
            "RABBITMQ_HOME": self._home,
            "RABBITMQ_PLUGINS_DIR": self._home / "plugins",
            "RABBITMQ_NODENAME": f"entresol{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": self._nodes_port,
            "RABBITMQ_MNESIA_BASE": self._folder / "data",
            "RABBITMQ_LOG_BASE": self._folder / "log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self._folder / "plugins",
            "RABBITMQ_CONFIG_FILE": self._folder / "settings",
            "RABBITMQ_CONF_ENV_FILE": self._folder / "environment",
            "RABBITMQ_GENERATED_CONFIG_DIR": self._folder / "generated",
            "RABBITMQ_PID_FILE": self._folder / "pid",
        }
        return [
            "/usr/bin/env",
            *(f"{name}={value}" for name, value in environment.items()),
            str(self._programs / "erlexec"),
            *[
                "-noinput",
                "-s",
                "rabbit",
                "boot",
                "-boot",
                "start_sasl",
                "+W",
                "w",
                "+S",
                "2:2",
                "+sbwt",
                "none",
                "-start_epmd",
                "false",
            ],
            *[
                "-kernel",
                "prevent_overlapping_partitions",
                "false",
                "-kernel",
                "inet_dist_use_interface",
                "{127,0,0,1}",
            ],
            *["-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false"],
        ]

    async def _prepare(self) -> None:
        await self._mapper.start()

    async def _answers(self, pid: int) -> bool:
        return await _listens(self.port)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
