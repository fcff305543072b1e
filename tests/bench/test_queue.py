"""The benchmark of the queue, run at its smallest, and the arithmetic of its verdicts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.bench.queue import board
from tests.bench.queue.__main__ import holds
from tests.bench.queue.drains import BATCHES, name_of
from tests.bench.queue.errands import CREATE, RUN
from tests.bench.queue.puts import BATCHES as PUTS
from tests.bench.queue.puts import ORDERS
from tests.bench.queue.rounds import medians
from tests.bench.queue.targets import best_peer, judged
from tests.bench.report import spread_ms
from tests.bench.test_bench_runs import run_to_figures

SMALLEST = ("--quick", "--rounds", "1", "--jobs", "400", "--seconds", "0.4", "--marks", "1500")
TIMEOUT_S = 240  # many processes are started


@pytest.mark.timeout(TIMEOUT_S)
def test_drains_and_enqueues_are_measured_of_ours_and_of_one_by_hand(tmp_path: Path) -> None:
    chosen = ("--systems", "entresol", "raw", "--parts", "drain", "enqueue", "front_ends")
    words = (*SMALLEST, *chosen, "--front-ends", "4")
    status, figures = run_to_figures(tmp_path, "tests.bench.queue", *words, timeout_s=TIMEOUT_S)
    drains, puts = (name_of(1, batch) for batch in BATCHES), (*PUTS, ORDERS)
    assert {*figures["parts"]} == {*drains, *puts}
    for found in figures["parts"].values():
        for queue in ("entresol", "raw"):
            assert found[queue]["per_s"] > 0
            assert found[queue]["client_cpu_ms"] > 0
            assert len(found[queue]["rounds"]) == 1
    verdicts = {line["work"]: line["verdict"] for line in figures["targets"]}
    assert verdicts["drain_1_worker_batch_100: jobs/s, beside raw"] == "known"
    assert status == (1 if "short" in verdicts.values() else 0)


@pytest.mark.timeout(TIMEOUT_S)
def test_calls_waits_and_what_stands_in_the_way_are_measured(tmp_path: Path) -> None:
    chosen = ("--systems", "entresol", "--parts", "wake_up", "calls", "pollers", "held_snapshot")
    _, figures = run_to_figures(tmp_path, "tests.bench.queue", *SMALLEST, *chosen, timeout_s=TIMEOUT_S)
    parts = figures["parts"]
    assert parts["wake_up"]["entresol"]["jobs"] == 8
    assert parts["wake_up"]["entresol"]["p99_ms"] >= parts["wake_up"]["entresol"]["p50_ms"]
    assert {*parts["calls_1_in_flight"]} == {RUN, CREATE}
    assert parts["pollers"]["polled"]["polls_per_s"] > 0
    assert 0 < parts["held_snapshot"]["entresol"]["sustained"] <= 1
    assert parts["held_snapshot"]["entresol"]["after_1500"] > 0


def test_a_board_tells_what_each_process_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(board.FOLDER, str(tmp_path))
    noted = board.Board()
    for number in (7, 8, 7):
        noted.note(number)
    assert board.counts(tmp_path) == [3]
    assert [number for number, _ in board.runs(tmp_path)] == [7, 8, 7]
    (path,) = tmp_path.iterdir()
    assert path.name == f"{os.getpid()}.board"
    assert path.stat().st_blocks * 512 < path.stat().st_size / 100


def test_a_figure_of_some_rounds_has_the_median_of_those_and_a_text_none() -> None:
    rounds = [{"per_s": 1.0, "round": "a"}, {"per_s": 9.0, "p99_ms": 4}, {"per_s": 3.0}]
    assert medians(rounds) == {"per_s": 3.0, "p99_ms": 4, "rounds": rounds}


def test_the_best_peer_has_the_highest_rate_and_the_lowest_cost() -> None:
    found = {
        "entresol": {"per_s": 9.0, "server_cpu_ms": 0.1},
        "bare": {"per_s": 8.0, "server_cpu_ms": 0.1},  # is no peer
        "raw": {"per_s": 5.0, "server_cpu_ms": 0.3},
        "pgqueuer": {"per_s": 4.0, "server_cpu_ms": 0.2},
        "procrastinate": {"per_s": None},
    }
    assert best_peer(found, "per_s") == "raw"
    assert best_peer(found, "server_cpu_ms") == "pgqueuer"
    assert best_peer({"entresol": {"per_s": 1.0}}, "per_s") is None


@pytest.mark.parametrize(
    ("bare", "ours", "verdict", "is_held"), [(100, 85, "pass", True), (100, 84, "short", False)]
)
def test_a_run_holds_only_if_ours_is_short_of_nothing_whatever_peers_reach(
    bare: float, ours: float, verdict: str, is_held: bool
) -> None:
    parts = {ORDERS: {"entresol": {"per_s": ours}, "bare": {"per_s": bare}, "raw": {"per_s": 10.0 * ours}}}
    lines = judged(parts, {"wake_up": "no time was left"})
    by_work = {line["work"]: line for line in lines}
    assert by_work[f"{ORDERS}: transactions/s, beside no wake-up"]["verdict"] == verdict
    assert by_work[f"{ORDERS}: transactions/s, beside raw"]["ratio"] == 0.1
    assert by_work["wake_up: from commit to handler, p99 ms"]["because"] == "wake_up: no time was left"
    assert holds({"targets": lines}) is is_held


def test_a_spread_is_told_in_milliseconds() -> None:
    assert spread_ms([0.001 * value for value in range(100, 0, -1)]) == {
        "count": 100,
        "p50": 51,
        "p99": 100,
        "max": 100,
    }
