"""How fast `entresol import` fills an empty table, beside the same rows without the platform: INSERT, and COPY.

`python -m tests.bench.imports {insert,copy} URL FILE` is each of the two: asyncpg's `executemany` by batches in
transactions of their own, as the import has them, and `copy_records_to_table`. All three read the same file of NDJSON
and write to the same table, with its indexes and triggers. `cpu_us` is that of the whole process for a row, its start
included; `per_s` is without the start, as each tells it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from tests.bench import report, rows
from tests.bench.processes import BenchError, cpu_s, reaped_cpu_s, started
from tests.bench.rounds import BESIDE_ROUNDS
from tests.bench.systems import STORIES, Entresol
from tests.bench.trial import Ground

NAME = "import"
INSERT, COPY = "insert", "copy"
BATCH_ROWS = 500  # of a transaction, as the import has them unless it is told otherwise
FIELDS = ("name", "title", "url", "text", "author", "score", "comment_count", "kind", "tags", "post_time")
COLUMNS = (*FIELDS, "uid", "create_time", "update_time")
RUN_S = 120.0
NOT_MEASURED = dict.fromkeys(("p50_ms", "p99_ms", "hit_ratio", "memory_mib"))


class Empty(Entresol):
    """The platform with no stories yet."""

    async def prepare(self, stores: Any, row_count: int, seed: int) -> None:
        await super().prepare(stores, 0, seed)


async def measure(ground: Ground, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return `import`, a workload whose operations are rows: of `entresol`, `insert` and `copy`.

    It has as many rounds as others that no target names, and one when the run is late.
    """
    system = Empty("import_stories", domain=STORIES)
    rounds = 1 if ground.is_late else min(arguments.rounds, BESIDE_ROUNDS)
    file = ground.folder / "stories.ndjson"
    file.write_text("".join(f"{json.dumps(story)}\n" for story in made(arguments.rows, arguments.seed)))
    async with ground.stores.database(system.database):
        await system.prepare(ground.stores, 0, arguments.seed)
        write = ground.stores.write_to(system.database)
        by_hand = (sys.executable, "-m", "tests.bench.imports")
        imported = (sys.executable, "-m", "entresol.cli.main", "import", str(file), "--again", "--json")
        commands: Mapping[str, Sequence[str]] = {
            "entresol": (*imported, "--resource", "stories.v1.Story", "--rejects", f"{file}.rejects"),
            INSERT: (*by_hand, INSERT, write, str(file)),
            COPY: (*by_hand, COPY, write, str(file)),
        }
        settings = system.settings(ground.stores, cached=False)
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
        for index in range(rounds):
            for name in commands if index % 2 == 0 else reversed(commands):
                async with ground.stores.connect(write) as connection:
                    await connection.execute("TRUNCATE stories CASCADE")
                seen = await _run(ground, f"{NAME}-{name}", commands[name], settings)
                async with ground.stores.connect(write) as connection:
                    count = await connection.fetchval("SELECT count(*) FROM stories")
                if count != arguments.rows:
                    raise BenchError(f"{name} has loaded {count} of {arguments.rows} rows")
                found[name].append(_per_row(seen, count))
            costs = ", ".join(f"{name} {entries[-1]['cpu_us']:.0f}" for name, entries in found.items())
            report.say(f"{NAME} {index + 1}/{rounds}, us: {costs}")
    return {NAME: report.workload(found)}


async def _run(
    ground: Ground, name: str, words: Sequence[str], settings: Mapping[str, str]
) -> dict[str, Any]:
    """Run a command on the server's core to its end; return the CPU it took, of stores too, and what it tells."""
    log = ground.folder / f"{name}.log"
    before_s, servers_s = (
        reaped_cpu_s(os.getpid()),
        {one: cpu_s([pid]) for one, pid in ground.servers.items()},
    )
    async with started(words, settings, log, ground.cores.server) as process, asyncio.timeout(RUN_S):
        code = await process.wait()
    output = log.read_text(errors="replace")
    if code:
        raise BenchError(f"{name} failed:\n{output}")
    return {
        "cpu_s": reaped_cpu_s(os.getpid()) - before_s,
        "stores_cpu_s": {one: cpu_s([pid]) - servers_s[one] for one, pid in ground.servers.items()},
        "seconds": json.loads(output.splitlines()[-1])["seconds"],
    }


def _per_row(seen: Mapping[str, Any], count: int) -> dict[str, Any]:
    return {
        "cpu_us": round(seen["cpu_s"] / count * 1e6, 2),
        "stores_cpu_us": {
            name: round(value / count * 1e6, 2) for name, value in seen["stores_cpu_s"].items()
        },
        "per_s": round(count / max(seen["seconds"], 0.01), 1),
        "operations": count,
        **NOT_MEASURED,
    }


def made(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Return stories of about 1 KiB, the same for the same seed."""
    dice = random.Random(seed)
    for number in range(count):
        lines = (dice.randbytes(16).hex() for _ in range(rows.TEXT_LINES[0]))
        values = (
            rows.name_of(number),
            f"Title of story {number}, which is of an ordinary length",
            f"https://stories.example/articles/{number}/and-a-few-words",
            " ".join(lines),
            rows.AUTHOR,
            number % 500,
            number % 90,
            1,
            ["first", "second", "third"],
            datetime.fromtimestamp(1_700_000_000 + 60 * number, UTC).isoformat(),
        )
        yield dict(zip(FIELDS, values, strict=True))


async def load(way: str, url: str, file: Path) -> dict[str, Any]:
    """Load the file by hand and tell how long it took."""
    connection = await asyncpg.connect(url)
    try:
        started_s = time.perf_counter()
        with file.open() as lines:
            records = [_record(json.loads(line)) for line in lines]
        if way == COPY:
            await connection.copy_records_to_table("stories", records=records, columns=COLUMNS)
        else:
            places = ", ".join(f"${number}" for number in range(1, len(COLUMNS) + 1))
            text = f"INSERT INTO stories ({', '.join(COLUMNS)}) VALUES ({places})"
            for at in range(0, len(records), BATCH_ROWS):
                await connection.executemany(text, records[at : at + BATCH_ROWS])
        return {"loaded": len(records), "seconds": round(time.perf_counter() - started_s, 3)}
    finally:
        await connection.close()


def _record(story: dict[str, Any]) -> tuple[Any, ...]:
    now = datetime.now(UTC)
    story["post_time"] = datetime.fromisoformat(story["post_time"])
    return (*(story[name] for name in FIELDS), str(uuid.uuid4()), now, now)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=(INSERT, COPY))
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(load(asked.way, asked.url, asked.file))))
