"""The arithmetic of growth: what is lost with a machine, and how much copies answer, beside a simulation of them."""

from __future__ import annotations

import random

import pytest
from tests.bench.growth.loss import BACK_S, DIES_S, END_S, shares
from tests.bench.report import INTERVAL_S
from tests.bench.scaling import BUSY, MACHINES, MIXES, RELAY, Costs, ends, near_share, needs, tables

COSTS = Costs(
    near=10,
    redis=25,
    replica=70,
    update=200,
    relay=30,
    redis_get=5,
    redis_update=10,
    replica_get=40,
    primary_update=150,
)


def test_what_is_lost_is_told_from_the_time_that_a_machine_is_away() -> None:
    ended = [
        800 if second < DIES_S or second >= BACK_S else 700
        for second in (number * INTERVAL_S for number in range(int(END_S / INTERVAL_S)))
    ]
    found = shares(ended)
    assert (found["before_per_s"], found["away_per_s"], found["back_per_s"]) == (3200, 2800, 3200)
    assert (found["lost"], found["regained"]) == (0.125, 1.0)


def simulated(reads_per_s: float, workers: int, age_s: float, keys: int) -> float:
    """Return the share of reads that copies answer, drawn one by one: a copy ends `age_s` after it was fetched."""
    dice = random.Random(1)
    weights = [1 / number**0.99 for number in range(1, keys + 1)]
    reads = 200_000
    chosen = dice.choices(range(keys), weights, k=reads)
    fetched: dict[tuple[int, int], float] = {}
    now_s, hits, counted = 0.0, 0, 0
    for number, key in enumerate(chosen):
        now_s += dice.expovariate(reads_per_s)
        place = (dice.randrange(workers), key)
        is_hit = now_s - fetched.get(place, -age_s) < age_s
        if not is_hit:
            fetched[place] = now_s
        if number > reads // 4:
            counted, hits = counted + 1, hits + is_hit
    return hits / counted


@pytest.mark.parametrize(("reads_per_s", "workers", "keys"), [(20_000, 4, 1000), (20_000, 16, 10_000)])
def test_the_share_of_copies_is_that_of_a_simulation(reads_per_s: float, workers: int, keys: int) -> None:
    found = near_share(reads_per_s, workers, 1.0, keys)
    assert found == pytest.approx(simulated(reads_per_s, workers, 1.0, keys), abs=0.03)


def test_more_machines_answer_more_and_each_copies_alike() -> None:
    few, many = (needs(MIXES[0], COSTS, machines, 1.0) for machines in (10, 100))
    assert many["calls/s"] == pytest.approx(10 * few["calls/s"], rel=0.01)
    assert many["answered by copies"] == pytest.approx(few["answered by copies"], rel=0.01)
    assert many["primary cores"] == pytest.approx(many["updates/s"] * COSTS.primary_update / 1e6)


def test_beyond_what_one_relay_follows_no_column_is_without_a_mark() -> None:
    for mix in MIXES:
        for age_s in (0.0, 1.0):
            end = ends(mix, COSTS, age_s)[RELAY]
            found = needs(mix, COSTS, int(end), age_s)["relay cores"], needs(mix, COSTS, int(end) + 1, age_s)
            assert found[0] <= BUSY < found[1]["relay cores"]
    heads = [
        line for line in tables(COSTS).splitlines() if line.startswith(MIXES[1].name) and "machines" in line
    ]
    assert len(heads) == 2
    assert all(f"{machines} machines, beyond {RELAY}" in head for head in heads for machines in MACHINES)
