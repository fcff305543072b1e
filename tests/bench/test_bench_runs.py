"""The benchmark, run at its smallest, and the parts that its figures stand on."""

from __future__ import annotations

import asyncio
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
from tests.bench.connections import Connections
from tests.bench.graph import (
    APPLICATION,
    COUNT,
    EDGES_OF_OBJECT,
    OVERALL,
    RANGE,
    READ,
    READ_TRANSACTION,
    WRITE,
    Graph,
    edges_of,
    source_of,
)
from tests.bench.keys import Keys, fnv1a_64
from tests.bench.processes import ROOT, cpu_s
from tests.bench.report import workload
from tests.bench.stores import Stores
from tests.bench.targets import TARGETS, judged
from tests.bench.wire import STREAMS_MAX, Call, GrpcConnection, Request
from tests.bench.workloads import WORKLOADS, Rows, Table

SMALLEST = ("--rounds", "1", "--calls", "150", "--rows", "300")
TIMEOUT_S = 100
CLIENTS = [str(ROOT / "clients" / "python" / folder) for folder in ("src", "src/gen")]


def figures_of(folder: Path, *words: str) -> Any:
    """Run a benchmark that reaches what it must and return the figures that it leaves."""
    status, figures = run_to_figures(folder, *words)
    assert status == 0
    return figures


def run_to_figures(folder: Path, *words: str, timeout_s: float = TIMEOUT_S) -> tuple[int, Any]:
    """Run a benchmark and return its exit status and the figures that it leaves."""
    out = folder / "figures.json"
    done = subprocess.run(
        (sys.executable, "-m", *words, "--out", str(out)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(CLIENTS)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert out.exists(), done.stderr
    return done.returncode, json.loads(out.read_text())


def test_the_benchmark_gives_figures_of_every_workload_and_system(tmp_path: Path) -> None:
    systems = ("entresol", "entresol_json", "grpc_aio")
    workloads = ("get", "batch_get_10", "list_50", "update", "ycsb_d", "ycsb_f", "replica_get")
    chosen = ("--systems", *systems, "--workloads", *workloads, "latency")
    figures = figures_of(tmp_path, "tests.bench", *SMALLEST, *chosen)
    assert set(figures["workloads"]) == {*workloads, "latency_1", "latency_32", "latency_half"}
    for result in figures["workloads"].values():
        assert set(result["systems"]) == set(systems)
        assert result["cpu_ratio_to_entresol"]["grpc_aio"] > 0
        for figure in result["systems"].values():
            assert figure["cpu_us"] > 0
            assert figure["p99_ms"] >= figure["p50_ms"] > 0
            assert len(figure["rounds"]) == 1
    assert all(figure["hit_ratio"] >= 0.99 for figure in figures["workloads"]["get"]["systems"].values())
    for name in ("entresol", "entresol_json"):
        (only,) = figures["workloads"]["replica_get"]["systems"][name]["rounds"]
        assert set(only["answered_by"]) == {"replica"}
    verdicts = {line["work"]: line["verdict"] for line in figures["targets"]}
    assert verdicts["Get, from Redis: entresol / grpc_aio"] in ("pass", "short")
    assert verdicts["Get, from Redis: entresol / fastify"] == "not measured"


def test_the_graph_is_served_alike_by_the_platform_and_by_hand(tmp_path: Path) -> None:
    workloads = ("tao_o", "tao_o_reads", "tao_a")
    chosen = ("--systems", "graph_entresol", "graph_grpc_aio", "--workloads", *workloads)
    figures = figures_of(tmp_path, "tests.bench", *SMALLEST, *chosen)
    assert set(figures["workloads"]) == set(workloads)
    for result in figures["workloads"].values():
        assert set(result["systems"]) == {"graph_entresol", "graph_grpc_aio"}


def test_sizes_imports_and_the_stores_own_ceilings_are_measured(tmp_path: Path) -> None:
    workloads = ("--workloads", "sizes", "ceilings", "import", "--sizes-rows", "200", "400")
    figures = figures_of(tmp_path, "tests.bench", *SMALLEST, "--systems", "entresol", *workloads)
    imports = figures["workloads"]["import"]["systems"]
    assert set(imports) == {"entresol", "insert", "copy"}
    for found in imports.values():
        assert found["per_s"] > 0
        assert found["rounds"][0]["operations"] == 300
        assert found["rounds"][0]["stores_cpu_us"]["primary"] > 0
    points = {name: set(curve) for name, curve in figures["sizes"].items()}
    assert points["rows_from_redis"] == points["rows_from_replica"] == {"200", "400"}
    assert len(points["text_bytes"]) == 5
    assert points["connections"] == {"1", "10", "100", "1000"}
    sized = figures["sizes"]["text_bytes"]
    assert (
        sized["64000"]["rounds"][0]["stores_cpu_us"]["redis"]
        > sized["100"]["rounds"][0]["stores_cpu_us"]["redis"]
    )
    if "pgbench_point_select" in figures["ceilings"]:
        assert figures["ceilings"]["pgbench_point_select"]["cpu_us"] > 0
    verdicts = {line["work"]: line["verdict"] for line in figures["targets"]}
    assert verdicts["Get from replica with 400 rows, beside 200"] in ("pass", "short")


def test_sizes_of_the_graphs_transactions_are_those_that_were_published() -> None:
    graph = Graph(100_000, seed=1)
    sizes = sorted(graph._size() for _ in range(50_000))
    assert sum(sizes) / len(sizes) == pytest.approx(19.2, rel=0.1)
    assert sizes[len(sizes) // 2] in (3, 4, 5)
    assert sizes[-1] <= 499


def test_the_graph_is_asked_for_what_applications_were_published_to_ask() -> None:
    graph = Graph(10_000, seed=1)
    drawn = [graph.operation(APPLICATION) for _ in range(20_000)]
    kinds = Counter(operation.kind for operation in drawn)
    shares = {READ: 0.3972, RANGE: 0.2751, COUNT: 0.0285, WRITE: 0.2336, READ_TRANSACTION: 0.0615}
    for kind, share in shares.items():
        assert kinds[kind] / len(drawn) == pytest.approx(share, rel=0.1), kind
    edges = {edge: source_of(edge) for edge in range(10_000)}
    for operation in drawn:
        if operation.kind in (RANGE, COUNT):
            (source,) = operation.rows
            assert operation.count == list(edges.values()).count(source) == EDGES_OF_OBJECT
            break
    assert all(edge in edges_of(source) for edge, source in edges.items())


def test_no_cache_of_its_room_answers_more_than_the_largest_share() -> None:
    rows, room, count = 2_000, 800, 40_000
    graph = Graph(rows, seed=1)
    assert graph.hit_ratio_max(OVERALL, 2 * rows) == pytest.approx(1)
    drawn = [one for one in (graph.operation() for _ in range(2 * count)) if one.kind == READ]
    popular = {row for row, _ in Counter(one.rows for one in drawn[:count]).most_common(room)}
    share = sum(one.rows in popular for one in drawn[count:]) / len(drawn[count:])
    assert share == pytest.approx(graph.hit_ratio_max(OVERALL, room), abs=0.02)


def test_workers_are_counted_or_the_reason_is_given_why_they_are_not(tmp_path: Path) -> None:
    chosen = ("--systems", "entresol_near", "--workloads", "scale", "--scale-workers", "1", "2")
    figures = figures_of(tmp_path, "tests.bench", *SMALLEST, *chosen)
    (line,) = (line for line in figures["targets"] if "workers" in line["work"])
    if "left_out" in figures["scale"]:  # nobody may make control groups here
        assert line["because"] == f"scale: {figures['scale']['left_out']}"
    else:
        assert set(figures["scale"]["per_s"]) == set(figures["scale"]["times_one_worker"]) == {"1", "2"}
        assert figures["scale"]["times_one_worker"]["1"] == 1
        assert line["verdict"] == "not measured"  # of eight


def test_a_crowded_cache_tells_what_it_answered_and_what_one_could(tmp_path: Path) -> None:
    chosen = ("--systems", "graph_entresol", "--workloads", "tao_o_crowded")
    figures = figures_of(tmp_path, "tests.bench", *SMALLEST, *chosen)
    found = figures["tao_o_crowded"]
    assert 0 <= found["hit_ratio"] <= 1
    assert 0.5 < found["hit_ratio_max"] < 1
    assert found["redis_bytes"]["allowed"] < found["redis_bytes"]["full"]
    (line,) = (line for line in figures["targets"] if "hit ratio" in line["work"])
    assert line["peer"] == found["hit_ratio_max"]


def test_the_coherence_benchmark_tells_what_coherence_costs_and_how_well_it_does(tmp_path: Path) -> None:
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
    figures = figures_of(tmp_path, "tests.bench.coherence", *smallest)
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


def test_the_benchmark_of_batches_tells_what_each_engine_costs_and_how_the_result_is_read(
    tmp_path: Path,
) -> None:
    smallest = ("--rounds", "1", "--clicks", "4000", "--reads", "20", "--stampedes", "2")
    figures = figures_of(tmp_path, "tests.bench.batch", *smallest)
    assert figures["batch"]["rows"] > 100
    engines = {"sql", "duckdb", "dask"}
    assert set(figures["batch"]["ways"]) == {*engines, "by_hand"}
    for name in engines:
        found = figures["batch"]["ways"][name]
        assert set(found["parts"]) == {"read", "reduce", "publish"}
        assert sum(part["seconds"] for part in found["parts"].values()) == pytest.approx(
            found["seconds"], abs=0.01
        )
        assert found["cpu_s"] > 0
        assert figures["batch"]["seconds_ratio_to_by_hand"][name] > 0
        assert figures["batch"]["cpu_ratio_to_by_hand"][name] > 0
    dask = figures["batch"]["ways"]["dask"]["rounds"][0]["cpu_s_by_process"]
    assert (
        dask["dask_0"] + dask["dask_1"]
        > figures["batch"]["ways"]["sql"]["rounds"][0]["cpu_s_by_process"]["dask_0"]
    )
    reads = figures["reads_of_result"]
    assert (reads["cold"]["answered_by"], reads["warm"]["answered_by"]) == ({"replica": 20}, {"cache": 20})
    assert sum(reads["stampede"]["answered_by"].values()) == 2 * reads["stampede"]["readers"]
    for name in ("cold", "warm", "stampede"):
        assert 0 < reads[name]["latency_ms"]["p50"] <= reads[name]["latency_ms"]["p99"]


def test_callers_lose_no_get_with_a_server_and_wait_for_less_than_it_is_away(tmp_path: Path) -> None:
    chosen = ("--quick", "--per-s", "40", "--faults", "killed", "--ways", "round robin, hedged")
    figures = figures_of(tmp_path, "tests.bench.clients", *chosen)
    found = figures["faults"]["killed"]["round robin, hedged"]
    assert found["lost"] == 0
    assert found["max_ms"] >= found["p99_ms"] >= found["p50_ms"] > 0


def test_fnv_is_the_published_function() -> None:
    assert fnv1a_64(0) == 0xA8C7F832281A39C5
    assert fnv1a_64(int.from_bytes(b"foobarxx", "little")) != fnv1a_64(int.from_bytes(b"foobarxy", "little"))


class Silent(asyncio.Protocol):
    """Takes connections and says nothing; `ends` hears of those that have ended."""

    made = 0

    def __init__(self, ends: asyncio.Queue[None]) -> None:
        self._ends = ends
        Silent.made += 1

    def connection_lost(self, error: Exception | None) -> None:
        self._ends.put_nowait(None)


async def test_a_load_has_connections_for_all_its_calls_and_one_that_is_closed_loses_its_own() -> None:
    loop, ends = asyncio.get_running_loop(), asyncio.Queue[None]()
    server = await loop.create_server(lambda: Silent(ends), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connections = Connections(f"{host}:{port}", GrpcConnection)
    await connections.ready(slots=4, calls=10 * STREAMS_MAX)
    for _ in range(10):
        connection = connections.connection(0)
        assert not connection.leaving
        connection.close()
    ended: asyncio.Future[str] = loop.create_future()
    request = Request(b"POST", b"/a.B/C", b"", ())
    connection.call(Call(request, lambda _call, code: ended.set_result(code)))
    assert await ended == "LOST"
    connections.close()
    for _ in range(Silent.made):
        await ends.get()
    server.close()
    await server.wait_closed()


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
            {"cpu_us": value, "per_s": 1, "p50_ms": 1, "p99_ms": 1, "hit_ratio": 1, "memory_mib": 1}
            for value in cpu_us
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


def test_a_target_is_passed_missed_or_not_measured() -> None:
    target = next(one for one in TARGETS if one.workload == "update")

    def verdict(subject_us: float, peer_us: float) -> str:
        systems = {target.subject: {"cpu_us": subject_us}, target.peer: {"cpu_us": peer_us}}
        lines = judged({"update": {"systems": systems}}, {})
        return next(line["verdict"] for line in lines if line["work"].startswith("Update"))

    assert verdict(60, 100) == "pass"
    assert verdict(61, 100) == "short"
    unmeasured = judged({}, {"go": "there is no go on this machine"})
    assert {line["verdict"] for line in unmeasured} == {"not measured"}
    assert {line["because"] for line in unmeasured if line["work"].endswith("/ go")} == {
        "go: there is no go on this machine"
    }


def test_the_best_peer_is_the_one_that_needs_least() -> None:
    figures = {"entresol": 2.0, "entresol_near": 1.0, "echo": 1.0, "fastify": 3.0, "go": 2.5}
    systems = {name: {"p99_ms": value} for name, value in figures.items()}
    lines = judged({"latency_half": {"systems": systems}}, {})
    found = [line for line in lines if line["work"].startswith("p99 of Get, half")]
    told = [(line["work"].rpartition(" ")[2], line["ratio"], line["verdict"]) for line in found]
    assert told == [("go", 0.4, "pass"), ("go", 0.8, "pass")]


def test_what_is_created_is_new_and_what_is_read_is_there_already() -> None:
    table = Table(1000)
    latest = next(one for one in WORKLOADS if one.name == "ycsb_d")
    created: set[int] = set()
    for _ in range(3):
        before = table.rows
        for operation in latest.draw(Rows(table, seed=1), 400):
            (row,) = operation.rows
            if operation.kind == "create":
                assert row >= before
                assert row not in created
                created.add(row)
            else:
                assert row < table.rows
                assert row < 1000 or row in created
    assert len(created) == pytest.approx(60, rel=0.5)


def test_a_batch_names_no_row_twice() -> None:
    batches = next(one for one in WORKLOADS if one.name == "batch_get_100")
    for operation in batches.draw(Rows(Table(2000), seed=3), 20):
        assert len(set(operation.rows)) == len(operation.rows) == 100
