"""Runs of a batch on every engine, as jobs of a worker, and the same SQL by hand: seconds, CPU and rows of each."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import statistics
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench import clicks, report
from tests.bench.batch_notes import BEGUN, DONE, NOTES, PROCESSES
from tests.bench.processes import BenchError, Cores, cpu_s, free_address, run_to_end, started
from tests.bench.stores import Stores
from tests.bench.systems import Entresol
from tests.spark.server import START_S, Spark, missing

from entresol.schema.model import Model

HERE = Path(__file__).parent
CLUSTERS = ("dask", "spark") if find_spec("pyspark") and not missing() else ("dask",)
ENGINES = ("sql", "duckdb", *CLUSTERS)
BY_HAND = "by_hand"
DASK = str(Path(sys.executable).parent / "dask")
# The step that ends each part: what `sql` reads is counted beside, and read again by its one statement.
READ_ENDS = ("reducing", "computing")
PUBLISHES = "publishing"
RUN_S = 300.0
PARTS = ("read", "reduce", "publish")
ROWS_OF = "SELECT name, visits FROM {} ORDER BY name"


@dataclass(frozen=True)
class Field:
    """What a run of the benchmark works on."""

    stores: Stores
    system: Entresol
    settings: Mapping[str, str]
    cores: Cores
    folder: Path
    day: str
    model: Model

    @property
    def write(self) -> str:
        """Return the primary's URL."""
        return self.stores.write_to(self.system.database)

    async def execute(self, statement: str) -> None:
        """Run a statement on the primary."""
        async with self.stores.connect(self.write) as connection:
            await connection.execute(statement)

    async def rows(self, table: str) -> list[tuple[str, int]]:
        """Return what a table has."""
        async with self.stores.connect(self.write) as connection:
            return [tuple(row) for row in await connection.fetch(ROWS_OF.format(table))]


@contextlib.asynccontextmanager
async def worker(field: Field) -> AsyncIterator[Path]:
    """Give the file of notes of a worker, beside Dask with two workers, and Spark, all on the other cores."""
    notes, address = field.folder / "notes", f"tcp://{free_address()}"
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    async with contextlib.AsyncExitStack() as stack:

        async def begun(role: str, words: Sequence[str], settings: Mapping[str, str]) -> int:
            log = field.folder / f"batch-{role}.log"
            process = await stack.enter_async_context(started(words, settings, log, field.cores.others))
            return process.pid

        pids = await field.stores.servers()
        scheduler = (DASK, "scheduler", "--host", host, "--port", port, "--no-dashboard")
        pids["dask_scheduler"] = await begun("dask-scheduler", scheduler, {})
        for number in range(2):
            one = (DASK, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
            folder = ("--local-directory", str(field.folder / "dask"))
            pids[f"dask_{number}"] = await begun(f"dask-{number}", (*one, *folder), {})
        spark = Spark(field.folder)
        if "spark" in ENGINES:
            pids["spark"] = await begun("spark", spark.words, spark.environment)
            async with asyncio.timeout(START_S):
                while not await _answers(spark.port):  # noqa: ASYNC110 - another process tells nobody
                    await asyncio.sleep(0.1)
        settings = {
            **field.settings,
            "ENTRESOL_BATCHES_SPARK": spark.address,
            "ENTRESOL_FUNCTIONS": f"{HERE / 'batch_notes.py'},{field.settings['ENTRESOL_FUNCTIONS']}",
            "ENTRESOL_BATCHES_DASK": address,
            NOTES: str(notes),
            PROCESSES: json.dumps(pids),
        }
        await begun("worker", (sys.executable, "-m", "entresol.cli.main", "work"), settings)
        yield notes


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def measure(field: Field, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what a run from an empty result costs on each engine, and by hand, in turns."""
    if "spark" not in ENGINES:
        report.say("spark is left out: `make spark-test` installs it, where there is Java")
    text = clicks.statement(field.model, field.day)
    ways = (BY_HAND, *ENGINES)
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    expected: list[tuple[str, int]] = []
    async with worker(field) as notes:
        for engine in CLUSTERS:
            await _by_engine(field, notes, engine)  # so that every process has imported what it needs
        for number in range(arguments.rounds):
            for name in ways if number % 2 == 0 else reversed(ways):
                await field.execute(f"TRUNCATE referrers, {clicks.BY_HAND}")
                by_hand = name == BY_HAND
                seen = await (_by_hand(field, text) if by_hand else _by_engine(field, notes, name))
                found = await field.rows(clicks.BY_HAND if by_hand else "referrers")
                expected = expected or found
                if not found or found != expected:
                    raise BenchError(f"{name} has made {len(found)} rows that are not those of the others")
                rounds[name].append(seen)
            costs = ", ".join(f"{name} {seen[-1]['seconds']:.2f}" for name, seen in rounds.items())
            report.say(f"{clicks.BATCH} {number + 1}/{arguments.rounds}, s: {costs}")
        await _by_engine(field, notes, "sql")  # whose result is read from here on
    summaries = {name: _summary(seen) for name, seen in rounds.items()}
    peer = summaries[BY_HAND]
    return {
        "rows": len(expected),
        "seconds_ratio_to_by_hand": {
            name: round(summaries[name]["seconds"] / peer["seconds"], 3) for name in ENGINES
        },
        "cpu_ratio_to_by_hand": {
            name: round(summaries[name]["cpu_s"] / peer["cpu_s"], 3) for name in ENGINES
        },
        "ways": summaries,
    }


async def _by_hand(field: Field, text: str) -> dict[str, Any]:
    pids = await field.stores.servers()
    before_s = {role: cpu_s([pid]) for role, pid in pids.items()}
    seconds = await clicks.count_by_hand(field.write, text, field.day)
    used = {role: cpu_s([pid]) - before_s[role] for role, pid in pids.items()}
    return {"seconds": round(seconds, 4), "cpu_s": round(sum(used.values()), 4), "cpu_s_by_process": used}


async def _by_engine(field: Field, notes: Path, engine: str) -> dict[str, Any]:
    """Run the batch as a job, and return how long each of its parts took, and what it used."""
    before = len(_noted(notes))
    run = ("batches", "run", clicks.BATCH, "--key", field.day, "--engine", engine, "--wait")
    await run_to_end((sys.executable, "-m", "entresol.cli.main", *run), field.settings, RUN_S)
    lines = _noted(notes)[before:]
    if [lines[0]["step"], lines[-1]["step"]] != [BEGUN, DONE]:
        raise BenchError(f"a run on {engine} was not done at once: {[line['step'] for line in lines]}")
    (read,) = (line for line in lines if line["step"] in READ_ENDS)
    (publish,) = (line for line in lines if line["step"] == PUBLISHES)
    bounds = list(itertools.pairwise((lines[0], read, publish, lines[-1])))
    used = _used(lines[0], lines[-1])
    return {
        "seconds": round(lines[-1]["at_s"] - lines[0]["at_s"], 4),
        "cpu_s": round(sum(used.values()), 4),
        "cpu_s_by_process": used,
        "parts": {
            name: {
                "seconds": round(last["at_s"] - first["at_s"], 4),
                "cpu_s": round(sum(_used(first, last).values()), 4),
            }
            for name, (first, last) in zip(PARTS, bounds, strict=True)
        },
    }


def _noted(notes: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


def _used(first: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, float]:
    return {role: round(value - first["cpu_s"][role], 4) for role, value in last["cpu_s"].items()}


def _summary(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the medians over rounds beside the rounds."""

    def median(values: Sequence[float]) -> float:
        return round(statistics.median(values), 4)

    made: dict[str, Any] = {name: median([one[name] for one in rounds]) for name in ("seconds", "cpu_s")}
    if "parts" in rounds[0]:
        made["parts"] = {
            part: {
                name: median([one["parts"][part][name] for one in rounds]) for name in ("seconds", "cpu_s")
            }
            for part in PARTS
        }
    return made | {"rounds": list(rounds)}
