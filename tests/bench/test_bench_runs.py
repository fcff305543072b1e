"""The benchmark, run at its smallest, and the parts that its figures stand on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.bench.keys import Keys, fnv1a_64
from tests.bench.processes import ROOT, cpu_s
from tests.bench.report import workload
from tests.bench.stores import Stores

SMALLEST = ("--rounds", "1", "--calls", "150", "--rows", "300")
TIMEOUT_S = 100


def figures_of(bench: str, *arguments: str) -> Any:
    """Run a benchmark and return what it prints."""
    done = subprocess.run(
        (sys.executable, "-m", f"tests.bench.{bench}", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_read_benchmark_prints_figures_of_every_workload_and_system(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    figures = figures_of("read", *SMALLEST, "--systems", "entresol", "grpc_aio", "--out", str(out))
    assert figures == json.loads(out.read_text())
    assert set(figures["workloads"]) == {"hot_get", "cached_get", "replica_get", "update"}
    for result in figures["workloads"].values():
        assert set(result["systems"]) == {"entresol", "grpc_aio"}
        assert result["cpu_ratio_to_entresol"]["grpc_aio"] > 0
        for figure in result["systems"].values():
            assert figure["cpu_us"] > 0
            assert figure["p99_ms"] >= figure["p50_ms"] > 0
            assert [entry["calls"] for entry in figure["rounds"]] == [150]
    assert all(
        figure["hit_ratio"] >= 0.99 for figure in figures["workloads"]["cached_get"]["systems"].values()
    )
    replica = figures["workloads"]["replica_get"]["systems"]["entresol"]["rounds"][0]
    assert replica["answered_by"] == {"replica": 150}


def test_the_coherence_benchmark_prints_what_coherence_costs_and_how_well_it_does() -> None:
    smallest = (
        "--rounds",
        "1",
        "--calls",
        "60",
        "--rows",
        "300",
        "--writes",
        "40",
        "--reads",
        "40",
        "--seconds",
        "2",
    )
    figures = figures_of("coherence", *smallest)
    for found in figures["writes"].values():
        assert found["p50_ratio_to_uncached"] > 0
        assert set(found["systems"]) == {"entresol", "uncached"}
    assert set(figures["steady"]) == {"everywhere", "where_reads_are"}
    for found in figures["steady"].values():
        assert found["failed"] == {}
        assert sum(found["reads_answered_by"].values()) == 80
        assert 0 < found["misses_by_replica"] <= 1
        assert 0 <= found["fills_refused"] < 1
        assert sum(found["cache_answers"]["put"].values()) == 80
        assert found["relay_lag_ms"]["count"] > 10
        assert 0 < found["relay_lag_ms"]["p50"] <= found["relay_lag_ms"]["p99"]


def test_fnv_is_the_published_function() -> None:
    assert fnv1a_64(0) == 0xA8C7F832281A39C5
    assert fnv1a_64(int.from_bytes(b"foobarxx", "little")) != fnv1a_64(int.from_bytes(b"foobarxy", "little"))


def test_keys_are_the_same_for_the_same_seed_and_as_skewed_as_zipf() -> None:
    drawn = Keys(20_000, seed=7).draw(50_000)
    assert drawn == Keys(20_000, seed=7).draw(50_000)
    assert drawn != Keys(20_000, seed=8).draw(50_000)
    share = Counter(drawn).most_common(1)[0][1] / len(drawn)
    weights = [rank**-0.99 for rank in range(1, 20_001)]
    assert share == pytest.approx(weights[0] / sum(weights), rel=0.1)


def test_cpu_counts_the_children_of_a_process_that_have_ended() -> None:
    burn = "import time\nwhile time.process_time() < 0.1: pass"
    command = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); "
        "print('burnt', flush=True); input()"
    )
    with subprocess.Popen(
        (sys.executable, "-c", command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "burnt\n"
        assert cpu_s([process.pid]) >= 0.1
        process.communicate("\n", timeout=10)


def test_cpu_of_this_process_is_what_its_own_clock_says() -> None:
    before_s = time.process_time()
    seen_s = cpu_s([os.getpid()])
    assert before_s <= seen_s + 0.001


def test_the_ratio_is_the_peers_cpu_over_entresols() -> None:
    def rounds(*cpu_us: float) -> list[dict[str, float]]:
        return [
            {"cpu_us": value, "calls_per_s": 1, "p50_ms": 1, "p99_ms": 1, "hit_ratio": 1} for value in cpu_us
        ]

    result = workload({"entresol": rounds(100, 90, 200), "grpc_aio": rounds(500, 450, 490)})
    assert result["cpu_ratio_to_entresol"] == {"grpc_aio": 4.9}
    assert result["systems"]["entresol"]["rounds"][2]["cpu_us"] == 200


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql://user:word@127.0.0.1:5432/postgres", "postgresql://user:word@127.0.0.1:5432/bench"),
        ("postgresql://127.0.0.1:5432", "postgresql://127.0.0.1:5432/bench"),
        ("postgresql:///postgres?host=/run/sockets&port=1", "postgresql:///bench?host=/run/sockets&port=1"),
    ],
)
def test_a_system_gets_a_database_of_its_own(url: str, wanted: str) -> None:
    assert Stores(write=url, read=url, cache="").write_to("bench") == wanted
    assert Stores(write=url, read=url, cache="").read_from("bench") == wanted


def test_the_peers_proto_has_the_platforms_fields() -> None:
    own = declared((ROOT / "tests/bench/peers/stories.proto").read_text())
    platforms = declared((ROOT / "protos/stories/v1/story.proto").read_text())
    for name, fields in own.items():
        assert fields.items() <= platforms[name].items(), name
    assert own["Story"] == platforms["Story"]


def declared(proto: str) -> dict[str, dict[str, str]]:
    """Return `field: type = number` of every message of a proto's text."""
    messages: dict[str, dict[str, str]] = {}
    fields: dict[str, str] = {}
    for line in proto.splitlines():
        if found := re.match(r"(?:message|service) (\w+)", line):
            fields = messages.setdefault(found[1], {})
        elif found := re.match(r"  ((?:repeated |optional )?[\w.]+(?:<.*>)?) (\w+) = (\d+)\b", line):
            fields[found[2]] = f"{found[1]} = {found[3]}"
    return messages
