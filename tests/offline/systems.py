"""The systems that are played against, each by its program: it prepares a database, works, ticks, puts jobs in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from tests.offline.work import CONCURRENCY, DRAIN_S, LEASE_S

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
AGAIN_S = 2.0  # default: 30 s
PEERS = str(ROOT / ".venv-peers" / "bin" / "python")


@dataclass(frozen=True)
class System:
    """A queue. `program` is a module that takes what `work.arguments` reads, run by `python`."""

    name: str
    python: str
    program: str
    is_platform: ClassVar[bool] = False  # whether it answers calls that put jobs in

    def queue(self, url: str) -> str:
        """Return the URL of the database that workers claim from."""
        return url

    def command(self, do: str, url: str, *arguments: object) -> list[str]:
        """Return the command line that prepares a database, works, ticks, or puts jobs in."""
        return [self.python, "-m", self.program, do, url, *map(str, arguments)]


class Entresol(System):
    """Ours: its workers are the command that everybody uses."""

    is_platform = True

    def settings(self, url: str) -> dict[str, object]:
        """Return the settings that it needs."""
        return {
            "protos": HERE / "protos",
            "functions": HERE / "functions.py",
            "migrations": "none",
            "database_write": url,
            "jobs_lease_s": LEASE_S,  # default: 15 s
            "jobs_concurrency": CONCURRENCY,  # the default
            "drain_s": DRAIN_S,  # default: 5 s
        }

    def command(self, do: str, url: str, *arguments: object) -> list[str]:
        """Return the command line, with the settings."""
        settings = self.settings(url)
        if do == "tick":
            settings["functions"] = f"{settings['functions']},{HERE / 'ticking.py'}"
        environment = (f"ENTRESOL_{name.upper()}={value}" for name, value in settings.items())
        queue = ("--queue", "offline")
        ours = {
            "work": ("work", *queue),
            "tick": ("work", *queue),
            "relay": ("relay-jobs", *queue),
            "serve": ("serve",),
        }
        program = (
            [self.python, "-m", "entresol.cli.main", *ours[do], *map(str, arguments)]
            if do in ours
            else super().command(do, url, *arguments)
        )
        return ["/usr/bin/env", *environment, *program]


@dataclass(frozen=True)
class Relayed(Entresol):
    """Ours, by way of a RabbitMQ."""

    broker: str = ""

    def settings(self, url: str) -> dict[str, object]:
        """Return the settings, and where RabbitMQ is."""
        relayed = {
            "rabbitmq_urls": self.broker,
            "rabbitmq_timeout_s": 2.0,
            "jobs_relayed": True,
            "jobs_relay_again_s": AGAIN_S,
        }
        return {**super().settings(url), **relayed}


@dataclass(frozen=True)
class Apart(Entresol):
    """Ours, with its queue in a cluster of its own."""

    cluster: str = ""

    def queue(self, url: str) -> str:
        """Return the URL of that cluster."""
        return self.cluster or url

    def settings(self, url: str) -> dict[str, object]:
        """Return the settings, and where the queue is."""
        return {**super().settings(url), "database_jobs": self.cluster}


OURS = Entresol("entresol", sys.executable, "tests.offline.by_entresol")
APART = Apart("entresol-apart", sys.executable, "tests.offline.by_entresol")
SYSTEMS = {
    system.name: system
    for system in (
        OURS,
        System("pgqueuer", PEERS, "tests.offline.by_pgqueuer"),
        System("procrastinate", PEERS, "tests.offline.by_procrastinate"),
    )
}
