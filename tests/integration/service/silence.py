"""A relay that says nothing any more, as far as one process can tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from entresol.clock import Clock
from entresol.embedded.polling import until
from entresol.testing.running import RunningPlatform


class ClockAhead(Clock):
    """A clock by which the relay has been silent for a minute."""

    def monotonic_s(self) -> float:
        return super().monotonic_s() + 60


@contextmanager
def silent(museum: RunningPlatform) -> Iterator[None]:
    """Make this process hear nothing of the relay, and believe it was a minute."""
    entries = museum.platform.records.entries
    assert entries is not None
    lag, clock = entries.lag, entries.lag.clock

    async def is_heard() -> bool:
        return lag.seconds < 10

    assert museum.run(until(is_heard, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(lag), "poll", _says_nothing)
        patch.setattr(lag, "clock", ClockAhead())
        yield
    assert lag.clock is clock


async def _says_nothing(_: object) -> None:
    """Stand for a relay that does not beat."""
