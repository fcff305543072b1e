"""A schedule of the workshop: a task each second. It is named beside `functions.py`."""

import entresol

entresol.schedule(
    "each-second",
    "workshop.v1.WorkshopService.RunTask",
    "every 1s",
    request={"label": "tick", "pause": "0s"},
    overlap="allow",
    missed="all",
)
