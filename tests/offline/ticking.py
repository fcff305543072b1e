"""The schedule of ours, which `entresol work` is given beside the functions where schedules are tried."""

from tests.offline.work import TICK_EVERY_S

import entresol

entresol.schedule(
    "tick",
    "offline.v1.OfflineService.DoTask",
    f"every {TICK_EVERY_S}s",
    request={"task": "tick"},
    overlap="allow",
    missed="all",
)
