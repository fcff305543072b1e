"""The life of one process: whether it is starting, ready or draining, what it lacks, and what its parts tell of it.

Nothing here asks a store: parts tell what they know already, so that a probe answers whatever is away.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from entresol.redaction import redacted

# What a part tells of itself, as JSON has it.
Facts = Mapping[str, object]


class Phase(enum.StrEnum):
    """Where a process is in its life; there is no way back."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Lack:
    """A store that is away, or not as it must be: why, and since when (seconds since the epoch)."""

    store: str
    address: str
    reason: str
    since_s: float
    blocks: bool = False  # so that the process can answer nothing

    def facts(self) -> Facts:
        """Return it as JSON has it."""
        return {
            "store": self.store,
            "address": self.address,
            "reason": self.reason,
            "since": time_text(self.since_s),
            "blocks": self.blocks,
        }


@dataclass(slots=True)
class Absence:
    """Why something is away, and since when; while it is there the reason is empty."""

    reason: str = ""
    since_s: float = field(default_factory=time.time)

    def begin(self, reason: str) -> None:
        """Note why it is away; since when is remembered from the first time."""
        if not self.reason:
            self.since_s = time.time()
        self.reason = reason

    def end(self) -> None:
        """Note that it is there."""
        self.reason = ""

    def facts(self) -> Facts:
        """Return it as JSON has it: nothing while it is there."""
        return {"away": redacted(self.reason), "since": time_text(self.since_s)} if self.reason else {}


@dataclass(slots=True)
class Life:
    """One process's life: a server's, a worker's, ... Commands make one and hand it to what they open."""

    role: str = ""
    address: str = ""  # of its admin port
    phase: Phase = Phase.STARTING
    began_s: float = field(default_factory=time.time)
    changed: asyncio.Event = field(default_factory=asyncio.Event)  # set anew with each phase
    # What parts add to the admin port, by the folder of their pages, `/console`: a request each, whatever its verb.
    folders: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    _waits: dict[str, Lack] = field(default_factory=dict)
    _lacks: list[Callable[[], Iterable[Lack]]] = field(default_factory=list)
    _parts: list[tuple[str, Callable[[], Facts]]] = field(default_factory=list)

    def wait_for(self, store: str, address: str, reason: str) -> None:
        """Note what the start waits for."""
        known = self._waits.get(store)
        since_s = time.time() if known is None else known.since_s
        self._waits[store] = Lack(store, address, reason, since_s, blocks=True)

    def waited(self, store: str) -> None:
        """Note that the start waits for this no more."""
        self._waits.pop(store, None)

    def add(self, kind: str, part: Callable[[], Facts]) -> None:
        """Let a part tell of itself, beside others of its kind."""
        self._parts.append((kind, part))

    def depend(self, lacks: Callable[[], Iterable[Lack]]) -> None:
        """Ask `lacks`, from now on, what is away."""
        self._lacks.append(lacks)

    def ready(self) -> None:
        """Note that the process answers."""
        self._enter(Phase.READY, Phase.STARTING)

    def drain(self) -> None:
        """Note that nothing new should come here."""
        self._enter(Phase.DRAINING, Phase.STARTING, Phase.READY)

    @property
    def is_ready(self) -> bool:
        """Whether others should send calls here."""
        return self.phase is Phase.READY and not any(lack.blocks for lack in self.lacks())

    def lacks(self) -> Sequence[Lack]:
        """Return what is away at the moment."""
        found = [*self._waits.values(), *(lack for lacks in self._lacks for lack in lacks())]
        return list(
            {(lack.store, lack.address): lack for lack in found}.values()
        )  # several parts may share a store

    def facts(self) -> dict[str, list[Facts]]:
        """Return what every part tells of itself, by kind."""
        told: dict[str, list[Facts]] = {}
        for kind, part in self._parts:
            told.setdefault(kind, []).append(part())
        return told

    def _enter(self, phase: Phase, *before: Phase) -> None:
        if self.phase in before:
            self.phase = phase
            changed, self.changed = self.changed, asyncio.Event()
            changed.set()


def time_text(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 has them, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
