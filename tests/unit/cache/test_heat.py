"""What a count of reads under LFU means: as many reads a minute as keep it where it is."""

from __future__ import annotations

import random

from entresol.cache.heat import Heat


def settled(reads_per_minute: int, factor: int, seed: int) -> float:
    """Return the count that a key settles at which is read so often: the server's own rule, played for an hour."""
    dice, count, seen = random.Random(seed), 5, []
    for _ in range(400):
        for _ in range(reads_per_minute):
            if count < 255 and dice.random() < 1 / (max(0, count - 5) * factor + 1):
                count += 1
        seen.append(count)
        count = max(0, count - 1)
    return sum(seen[200:]) / 200


def test_the_estimate_is_near_the_load_that_the_server_s_rule_is_played_with() -> None:
    for reads in (60, 300, 1200):
        estimate = Heat("volatile-lfu").reads_per_minute(round(settled(reads, 10, seed=reads)))
        assert 0.7 * reads < estimate < 1.4 * reads, (reads, estimate)


def test_what_was_hardly_read_is_none_and_the_most_is_known() -> None:
    heat = Heat("allkeys-lfu")
    assert heat.counts
    assert heat.reads_per_minute(5) == 0
    assert heat.reads_per_minute(255) == heat.most == 2501
    assert Heat("volatile-lfu", decay_minutes=2).most == 1250
    assert not Heat("volatile-lru").counts
