"""The queues side by side: how each makes its tables, works and puts jobs in, and where its jobs are."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.queue.errands import KINDS, PROTOS
from tests.bench.report import PYTHON
from tests.bench.stores import Stores
from tests.bench.systems import Command, Domain, Entresol

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Queue:
    """A queue. `table` has its jobs, `left` says in SQL which are not over; `share` of the work is enough for it."""

    name: str
    python: Path
    table: str
    left: str = "true"
    share: float = 1.0
    how: str = ""  # its enqueue is called

    @property
    def database(self) -> str:
        """Name of the database that only this queue uses."""
        return f"queue_{self.name}"

    def missing(self) -> str | None:
        """Return why it cannot run on this machine, None when it can."""
        return None if self.python.exists() else "make peers"

    def command(self, do: str, stores: Stores, *words: str) -> Command:
        """Return the process that makes the tables, works, or puts jobs in."""
        program = f"tests.bench.queue.by_{self.name}"
        url = stores.write_to(self.database)
        return Command(do, (str(self.python), "-m", program, do, url, *words, "--how", self.how))


async def _nothing(*_: object, **__: object) -> None: ...


class Served(Entresol):
    """The server before our queue. Its database is the queue's."""

    def __init__(self) -> None:
        functions = str(HERE / "functions.py")
        domain = Domain(PROTOS, HERE, functions, HERE, _nothing)
        super().__init__("entresol", speech="queue", domain=domain, kinds=KINDS)

    @property
    def database(self) -> str:
        return "queue_entresol"

    def settings(self, stores: Stores, *, cached: bool) -> dict[str, str]:
        write = stores.write_to(self.database)
        return {
            **super().settings(stores, cached=cached),
            "ENTRESOL_MIGRATIONS": "none",
            "ENTRESOL_DATABASE_READ": write,
        }


class Ours(Queue):
    """Ours: its workers are the command that everybody uses."""

    def command(self, do: str, stores: Stores, *words: str) -> Command:
        settings = SERVED.settings(stores, cached=False)
        if do != "work":
            made = super().command(do, stores, *words)
            return Command(do, made.arguments, settings)
        _, batch = words
        program = (str(self.python), "-m", "entresol.cli.main", "work", "--queue", "errands")
        return Command(do, (*program, "--concurrency", batch), settings)

    @property
    def database(self) -> str:
        return SERVED.database


SERVED = Served()
OURS = Ours("entresol", Path(sys.executable), "entresol.jobs")
# What one's own enqueue is compared with: the same row without a wake-up, and with one in its transaction; and each
# front end with a platform of its own, with our wake-ups and without.
VARIANTS: Mapping[str, Queue] = {
    how: Ours("entresol", Path(sys.executable), table, how=how)
    for how, table in (
        ("bare", "bare_jobs"),
        ("notify", "bare_jobs"),
        ("alone", "entresol.jobs"),
        ("alone bare", "bare_jobs"),
    )
}
QUEUES: Mapping[str, Queue] = {
    queue.name: queue
    for queue in (
        OURS,
        Queue("pgqueuer", PYTHON, "pgqueuer", share=0.5),
        Queue("procrastinate", PYTHON, "procrastinate_jobs", "status IN ('todo', 'doing')", share=0.04),
        Queue("raw", Path(sys.executable), "jobs"),
    )
}
