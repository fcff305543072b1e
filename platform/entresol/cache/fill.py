"""What `begin` promises to a `fill`: where the cache stood before the database was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from entresol.cache.entry import Entry
from entresol.cache.keys import Place
from entresol.schema.model import Resource


@dataclass(frozen=True, slots=True)
class Spot:
    """A key's place and positions: `moved` is its bucket's newest change, `watermark` the partition's.

    `floor` is the table's, 0 without one. A writer may have raised it ahead of the relay, so it is not in `reflected`.
    """

    place: Place
    generation: bytes
    moved: int
    watermark: int
    floor: int = 0

    @property
    def reflected(self) -> int:
        """Return the position that any later snapshot of the primary reflects: the relay's gate saw to it."""
        return max(self.moved, self.watermark)


@dataclass(frozen=True, slots=True)
class Fill:
    """The read of some names that missed. Names without a spot are read and not filled.

    `lost` are being read by others, and `found` are there, filled between the miss and the lease. `begun_s` is of the
    monotonic clock.
    """

    resource: Resource
    spots: Mapping[str, Spot] = field(default_factory=dict)
    owner: bytes = b""
    lost: tuple[str, ...] = ()
    found: Mapping[str, Entry] = field(default_factory=dict)
    begun_s: float = 0.0

    @property
    def hint(self) -> int:
        """Return the newest change of the keys' buckets and table; a replica that has not replayed it cannot fill."""
        return max((max(spot.moved, spot.floor) for spot in self.spots.values()), default=0)
