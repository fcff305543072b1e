"""What happened on one connection, or on all of a server that have ended; times are those of the loop's clock."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Streams and calls by how they went, and connections by why this side ended them.

    What no time is known of is None: it has not happened yet.
    """

    started: int = 0  # streams, each a call but for the `others`
    succeeded: int = 0
    failed: int = 0  # answered with an error
    cancelled: int = 0  # ended without an answer
    others: int = 0  # answered as HTTP says, being no gRPC
    messages_received: int = 0
    messages_sent: int = 0
    keepalives_sent: int = 0
    started_s: float | None = None  # when the last one did
    received_s: float | None = None
    sent_s: float | None = None
    closed: dict[str, int] = field(default_factory=dict)  # by reason

    def start(self, now_s: float) -> None:
        """Count a stream."""
        self.started += 1
        self.started_s = now_s

    def receive(self, now_s: float) -> None:
        """Count a message of a request."""
        self.messages_received += 1
        self.received_s = now_s

    def send(self, now_s: float) -> None:
        """Count a message of a reply."""
        self.messages_sent += 1
        self.sent_s = now_s

    def answer(self, now_s: float) -> None:
        """Count a call that went well, of one message each way, both now."""
        self.succeeded += 1
        self.messages_received += 1
        self.messages_sent += 1
        self.received_s = self.sent_s = now_s

    def close(self, reason: str) -> None:
        """Count a connection that this side ended."""
        self.closed[reason] = self.closed.get(reason, 0) + 1

    def end(self) -> None:
        """Count what was not answered by now as cancelled: the connection has ended."""
        self.cancelled = self.started - self.succeeded - self.failed - self.others

    def add(self, other: Counters) -> None:
        """Count what another one counted, too."""
        for name in ("started", "succeeded", "failed", "cancelled", "others"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.started_s is not None:
            self.started_s = max(other.started_s, self.started_s or other.started_s)
