"""What became of the calls inside a `with` block: who answered, how many attempts, how long."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CallTrace:
    """One finished call.

    `answered_by` is `near` (the server's own copy), `cache`, `primary` or `replica:<address>`; "" when the server did
    not say. `hedges` are the attempts that were sent while another was still waited for.
    """

    method: str  # /stories.v1.StoryService/GetStory
    code: Any  # grpc.StatusCode
    attempts: int
    duration_s: float
    answered_by: str = ""
    trace_id: str = ""
    hedges: int = 0


_calls: ContextVar[deque[CallTrace] | None] = ContextVar("entresol_client_calls", default=None)


@contextmanager
def trace(limit: int = 1000) -> Iterator[deque[CallTrace]]:
    """Collect the last `limit` calls that this task or thread, and tasks begun in the block, finish.

    Inside another `trace` block, the outer one does not see the calls of the inner one.
    """
    calls: deque[CallTrace] = deque(maxlen=limit)
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def finished(call: CallTrace) -> None:
    """Add a call to the block around it, if there is one."""
    calls = _calls.get()
    if calls is not None:
        calls.append(call)
