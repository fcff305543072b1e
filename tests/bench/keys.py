"""Which stories are asked for: zipf over the ranks, scrambled with FNV-1a as YCSB does, from a seed."""

from __future__ import annotations

import itertools
import random

EXPONENT = 0.99


def fnv1a_64(number: int) -> int:
    """Return FNV-1a with 64 bits over the eight bytes of `number`, lowest first."""
    value = 0xCBF29CE484222325
    for byte in number.to_bytes(8, "little"):
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


class Keys:
    """A source of row numbers below `rows`; the same seed draws the same numbers. All are alike with exponent 0."""

    def __init__(self, rows: int, seed: int, exponent: float = EXPONENT) -> None:
        self._random = random.Random(seed)
        self._weights = list(itertools.accumulate((rank + 1) ** -exponent for rank in range(rows)))
        self._numbers = [fnv1a_64(rank) % rows for rank in range(rows)]

    def draw(self, count: int) -> list[int]:
        """Return `count` row numbers."""
        return [self._numbers[rank] for rank in self.ranks(count)]

    def shares(self) -> list[float]:
        """Return how often each rank is drawn, of 1 in all."""
        return [
            (weight - before) / self._weights[-1]
            for before, weight in itertools.pairwise((0.0, *self._weights))
        ]

    def ranks(self, count: int) -> list[int]:
        """Return how many are asked for more often than each of `count` that are asked for."""
        return self._random.choices(range(len(self._numbers)), cum_weights=self._weights, k=count)
