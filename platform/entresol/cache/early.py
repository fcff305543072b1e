"""Early refresh: a busy entry is read again shortly before it ends, by one of its readers, so that it never ends.

Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, PVLDB 8(8), 2015 (XFetch, beta = 1).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from entresol.cache.entry import Entry

# What a put brought has no cost of its own; to read it again costs about this.
COST_MS_MIN = 10
# Beyond this many costs nobody is ever early: exp(-20) is once in 500 million reads.
COSTS_MAX = 20


def is_due(entry: Entry, now_ms: float, chance: Callable[[], float] = random.random) -> bool:
    """Tell whether this reader should read the entry again: likelier near its end, and when the read is dear."""
    left_ms = entry.expiry_ms - now_ms
    cost_ms = max(entry.cost_ms, COST_MS_MIN)
    if left_ms > COSTS_MAX * cost_ms:
        return False
    return -cost_ms * math.log(1.0 - chance()) >= left_ms
