"""What the server's count of reads means: a logarithm of eight bits that fades, and how many reads keep it there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from entresol.cache.connection import Connection
from entresol.cache.failure import CacheError
from entresol.errors import UnavailableError

# As Redis's evict.c has them: a new key begins here, so that it is not the first to go.
_BEGIN = 5
_COUNT_MAX = 255
_LOG_FACTOR, _DECAY_MINUTES = 10, 1  # the server's defaults, where CONFIG may not be asked


@dataclass(frozen=True, slots=True)
class Heat:
    """How a server counts reads, if it `counts` them at all."""

    policy: str
    log_factor: int = _LOG_FACTOR
    decay_minutes: int = _DECAY_MINUTES

    @property
    def counts(self) -> bool:
        """Whether the policy is one that counts reads."""
        return self.policy.endswith("lfu")

    @property
    def most(self) -> int:
        """Return the most reads a minute that can be told; there may be more."""
        return self.reads_per_minute(_COUNT_MAX)

    def reads_per_minute(self, count: int) -> int:
        """Return the reads that keep a key at `count`.

        A read raises the count by one with probability 1 / ((count - 5) * log_factor + 1), and it falls by one in
        `decay_minutes`: where it stays, as many reads come in that time as one rise needs on average.
        """
        if count <= _BEGIN:
            return 0
        return round(((count - _BEGIN) * self.log_factor + 1) / max(1, self.decay_minutes))


async def read_heat(connection: Connection) -> Heat:
    """Return how the server counts.

    Raises:
        UnavailableError: the cache does not answer.
    """
    try:
        node = (await connection.nodes())[0]  # of several, which are configured alike
        (memory,) = await node.execute(("INFO", "memory"))
    except CacheError as error:
        raise UnavailableError(f"the cache does not answer: {error}") from error
    found = re.search(rb"maxmemory_policy:(\S+)", memory)
    policy = found[1].decode() if found else "noeviction"
    factor = await _number(node, "lfu-log-factor", _LOG_FACTOR)
    return Heat(policy, factor, await _number(node, "lfu-decay-time", _DECAY_MINUTES))


async def _number(node: Connection, name: str, default: int) -> int:
    try:
        (reply,) = await node.execute(("CONFIG", "GET", name))
        return int(reply[1])
    except (CacheError, IndexError):  # managed services refuse CONFIG
        return default
