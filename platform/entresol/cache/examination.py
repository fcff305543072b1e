"""What the servers of the cache tell of themselves, read once for `entresol doctor`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from entresol.cache.connection import Connection
from entresol.cache.connections import open_connection
from entresol.cache.failure import CacheError
from entresol.cache.server import parse_info
from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import UnavailableError

_LOOKS = 5
_CONFIG = ("save", "appendfsync", "stop-writes-on-bgsave-error", "min-replicas-to-write")


@dataclass(frozen=True, slots=True)
class CacheExamination:
    """INFO, what CONFIG tells where it may be asked, and how far away the server and its clock are."""

    address: str
    info: Mapping[str, str]
    clock_offset_s: float  # its clock less ours
    round_trip_s: float  # of the quickest of a few commands
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return what the server is, and where."""
        return f"cache {self.address}"

    @property
    def mode(self) -> str:
        """Return standalone, cluster or sentinel."""
        return self.info.get("redis_mode") or self.info.get("server_mode", "standalone")  # Valkey's name

    def number(self, name: str) -> int:
        """Return a number of INFO; 0 where it has none of the name."""
        return int(self.info.get(name, "0") or 0)


async def examine(settings: Settings, clock: Clock, timeout_s: float) -> list[CacheExamination]:
    """Return what each server with keys tells.

    Raises:
        UnavailableError: one does not answer, or refuses.
        ConfigurationError: the URL is none.
    """
    connection = open_connection(settings.cache_url, timeout_s=timeout_s)
    try:
        return [await _examine(node, clock) for node in await connection.nodes()]
    except CacheError as error:
        raise UnavailableError(str(error)) from error
    finally:
        await connection.close()


async def _examine(node: Connection, clock: Clock) -> CacheExamination:
    (text,) = await node.execute(("INFO",))
    looks = [await _look(node, clock) for _ in range(_LOOKS)]
    config = {name: value for name in _CONFIG if (value := await _config(node, name)) is not None}
    round_trip_s, offset_s = min(looks)
    return CacheExamination(node.label, parse_info(text.decode()), offset_s, round_trip_s, config)


async def _look(connection: Connection, clock: Clock) -> tuple[float, float]:
    before_s, started_s = clock.now_s(), time.perf_counter()
    ((seconds, micros),) = await connection.execute(("TIME",))
    round_trip_s = time.perf_counter() - started_s
    return round_trip_s, int(seconds) + int(micros) / 1e6 - before_s - round_trip_s / 2


async def _config(connection: Connection, name: str) -> str | None:
    """Return a setting; None where CONFIG is refused, as managed services do, or the server has none of the name."""
    try:
        (reply,) = await connection.execute(("CONFIG", "GET", name))
    except CacheError:
        return None
    return reply[1].decode() if reply else None
