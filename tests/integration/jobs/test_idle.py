"""What a worker asks of the primary while there is nothing to do: many of them are the end of the queue."""

from __future__ import annotations

import time
from pathlib import Path

from tests.integration.jobs.conftest import HERE, Workshop
from tests.integration.jobs.test_schedules import rows

from entresol.config import Settings

LONG_S = 4.0
PER_S_MAX = 16  # 13 as counted, and what the first seconds ask once
COMMITTED = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
PROTOS = HERE.parents[1] / "offline" / "protos"  # whose kinds have no rate, for which workers look more often
FUNCTIONS = """
import entresol

@entresol.job("offline.v1.OfflineService.DoPoison")
@entresol.job("offline.v1.OfflineService.DoTask")
async def do_task(request, job):
    raise AssertionError("nobody puts any in")
"""


def test_an_idle_worker_commits_a_dozen_times_a_second(workshop: Workshop, tmp_path: Path) -> None:
    functions = tmp_path / "tasks.py"
    functions.write_text(FUNCTIONS)
    lease_s = Settings().jobs_lease_s
    with workshop.worker(protos=str(PROTOS), functions=str(functions), jobs_lease_s=lease_s):
        time.sleep(1.5)  # what it asks at its beginning
        before, began_s = rows(workshop, COMMITTED)[0][0], time.monotonic()
        time.sleep(LONG_S)
        committed = rows(workshop, COMMITTED)[0][0] - before
        per_s = committed / (time.monotonic() - began_s)
    assert 4 < per_s < PER_S_MAX
