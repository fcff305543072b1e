"""The handler that `entresol work` runs."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.bench.queue.board import Board

import entresol

METHOD = "errands.v1.ErrandService.RunErrand"
board = cache(Board)  # of the process that runs jobs, which is not every one that reads this


@entresol.job(METHOD)
async def run_errand(request: Any, job: entresol.Job) -> Any:
    """Do nothing but say so."""
    board().note(request.number)
    return job.new("errands.v1.RunErrandResponse")
