"""The systems that are played against, each by its program: it prepares a database, works, puts jobs in."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tests.offline.work import CONCURRENCY, DRAIN_S, LEASE_S

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = str(ROOT / ".venv-peers" / "bin" / "python")


@dataclass(frozen=True)
class System:
    """A queue. `program` is a module that takes what `work.arguments` reads, run by `python`."""

    name: str
    python: str
    program: str

    def command(self, do: str, url: str, *arguments: object) -> list[str]:
        """Return the command line that prepares a database, works, or puts jobs in."""
        return [self.python, "-m", self.program, do, url, *map(str, arguments)]


class Entresol(System):
    """Ours: its workers are the command that everybody uses."""

    def command(self, do: str, url: str, *arguments: object) -> list[str]:
        """Return the command line, with the settings that it needs."""
        settings = {
            "protos": HERE / "protos",
            "functions": HERE / "functions.py",
            "migrations": "none",
            "database_write": url,
            "jobs_lease_s": LEASE_S,  # default: 15 s
            "jobs_concurrency": CONCURRENCY,  # the default
            "drain_s": DRAIN_S,  # default: 5 s
        }
        environment = (f"ENTRESOL_{name.upper()}={value}" for name, value in settings.items())
        program = (
            [self.python, "-m", "entresol.cli.main", "work", "--queue", "offline"]
            if do == "work"
            else super().command(do, url, *arguments)
        )
        return ["/usr/bin/env", *environment, *program]


OURS = Entresol("entresol", sys.executable, "tests.offline.by_entresol")
SYSTEMS = {
    system.name: system
    for system in (
        OURS,
        System("pgqueuer", PEERS, "tests.offline.by_pgqueuer"),
        System("procrastinate", PEERS, "tests.offline.by_procrastinate"),
    )
}
