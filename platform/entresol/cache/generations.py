"""The generation of each partition, as this process saw it last."""

from __future__ import annotations

from entresol.cache.connection import Connection
from entresol.cache.failure import CacheError
from entresol.cache.keys import Layout

Mark = tuple[bytes, ...]
UNKNOWN = b""


class Generations:
    """Remembers what replies tell, so that a put can say which generation its transaction began in."""

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self._connection = connection
        self._layout = layout
        self.seen: Mark = (UNKNOWN,) * layout.partitions

    def see(self, partition: int, generation: bytes | None) -> None:
        """Note what a reply said of a partition."""
        if generation is not None and generation != self.seen[partition]:
            self.seen = (*self.seen[:partition], generation, *self.seen[partition + 1 :])

    async def mark(self) -> Mark:
        """Return the present generations; only the first call of a process, or one without a relay, asks for them."""
        if UNKNOWN in self.seen:
            metas = [self._layout.meta(partition) for partition in range(self._layout.partitions)]
            try:
                replies = await self._connection.execute(*(("HGET", meta, "g") for meta in metas))
            except CacheError:
                return self.seen
            for partition, generation in enumerate(replies):
                self.see(partition, generation)
        return self.seen
