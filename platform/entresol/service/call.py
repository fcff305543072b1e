"""One call in flight: who asks, until when, what it has seen, and what the reply must carry back."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from google.protobuf.message import Message

from entresol.cache.session import Session
from entresol.cache.tokens import SessionTokens
from entresol.clock import Clock
from entresol.errors import DeadlineExceededError
from entresol.records import ANYTHING, Demand
from entresol.schema.model import Method

# The request is bytes until the decode link has parsed it; a reply of bytes is already serialized.
Reply = Message | bytes | AsyncIterator[Any]
# What can be told at once is; for the rest there is something to await, and only then is a task worth its cost.
Answer = Reply | Awaitable[Reply]
Handler = Callable[[Any, "Call"], Answer]
Link = Callable[[Handler, Any, "Call"], Answer]


def is_awaitable(answer: Answer) -> TypeGuard[Awaitable[Reply]]:
    """Tell whether there is something to await; what is told at once is mostly bytes, which is quickly seen."""
    return type(answer) is not bytes and isinstance(answer, Awaitable)


async def finished(answer: Answer) -> Reply:
    """Return the reply of an answer that may be one already."""
    return await answer if isinstance(answer, Awaitable) else answer


def replies(answer: Answer) -> aclosing[AsyncGenerator[Any]]:
    """Return the replies of a method that streams them, to be closed by who takes them, when it has enough."""
    return aclosing(_each(answer))


async def _each(answer: Answer) -> AsyncGenerator[Any]:
    stream: Any = await finished(answer)
    try:
        async for reply in stream:
            yield reply
    finally:
        if (close := getattr(stream, "aclose", None)) is not None:
            await close()


SESSION_KEY = "entresol-session"
CONSISTENCY_KEY = "entresol-consistency"
READ_MASK_KEY = "entresol-read-mask"
ANSWERED_BY_KEY = "entresol-answered-by"
STALENESS_KEY = "entresol-staleness"
SHOW_VERSION_KEY = "entresol-show-version"  # "true": the reply of Get tells the row's version
VERSION_KEY = "entresol-version"
PRIMARY = "primary"
TRACE_KEY = "entresol-trace"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `subject` is empty for a caller that nobody authenticated."""

    subject: str = ""
    claims: Mapping[str, str] = field(default_factory=dict)


ANONYMOUS = Caller()


@dataclass(slots=True)
class Call:
    """One call in flight. `timeout_s` is what the caller allows, None when it did not say.

    `leading` goes back before the reply, the first of a stream's, and `trailing` behind it, the last of a stream's.
    """

    method: Method
    metadata: Mapping[str, str]
    clock: Clock
    timeout_s: float | None = None
    deadline_s: float = (
        0.0  # on the clock's monotonic scale; set by the deadline link, endless for some streams
    )
    work_s_max: float = math.inf  # of one piece of work within the call; set by the deadline link
    caller: Caller = ANONYMOUS
    demand: Demand = ANYTHING
    trace_id: str = ""
    leading: dict[str, str | bytes] = field(default_factory=dict)  # bytes where the name ends with -bin
    trailing: dict[str, str | bytes] = field(default_factory=dict)  # likewise
    binary: Mapping[str, bytes] = field(default_factory=dict)  # metadata whose name ends with -bin

    def remaining_s(self) -> float:
        """Return the seconds left for the next piece of work.

        Raises:
            DeadlineExceededError: none are left.
        """
        left = self.deadline_s - self.clock.monotonic_s()
        if left <= 0:
            raise DeadlineExceededError("the deadline passed before the work was done")
        return min(left, self.work_s_max)

    def remember(self, session: Session, tokens: SessionTokens) -> None:
        """Let the rest of this call, and the caller, depend on `session`."""
        if session is not self.demand.session:
            self.demand = replace(self.demand, session=session)
            self.trailing[SESSION_KEY] = tokens.encode(session)

    def serve_stale(self, staleness_s: float) -> None:
        """Say in the reply how old it may be, when that is more than its resource allows."""
        if staleness_s:
            self.trailing[STALENESS_KEY] = f"{staleness_s:.3f}"

    def answered_by(self, source: str) -> None:
        """Say in the reply who answered: `near`, `cache`, `primary` or `replica:<address>`."""
        self.trailing[ANSWERED_BY_KEY] = source
