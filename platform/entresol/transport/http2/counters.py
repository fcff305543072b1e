"""What happened on a server of this transport, or on one of its connections, since it began."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Calls by how they went, and connections by why this side ended them."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    connections: int = 0
    closed: dict[str, int] = field(default_factory=dict)  # by reason

    def close(self, reason: str) -> None:
        """Count a connection that this side ended."""
        self.closed[reason] = self.closed.get(reason, 0) + 1
