"""What the stores can do when nothing stands in front of them: PostgreSQL under pgbench, Redis under redis-benchmark.

A tool that the machine lacks gives no figures.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bench import report
from tests.bench.processes import BenchError, cpu_s
from tests.bench.trial import Ground

NAME = "ceilings"
POINT_SELECT, REDIS_GET = "pgbench_point_select", "redis_benchmark_get"
CLIENTS = 32
SELECTS_OF_A_CALL, GETS_OF_A_CALL = 40, 100  # for each call of a round of the workloads
VALUE_BYTES = 1024
TIMEOUT_S = 60.0
# A point select of the row that a Get reads; pgbench prepares it.
SELECT = r"""\set number random(0, {last})
SELECT * FROM stories WHERE name = 'stories/s' || lpad((:number)::text, 8, '0');
"""


async def measure(ground: Ground, database: str, rows: int, calls: int) -> dict[str, Any]:
    """Return `ceilings`: by tool, the operations a second and the CPU of the store for one of them."""
    servers = await ground.stores.servers()
    found: dict[str, Any] = {}
    for name, store, measured in (
        (POINT_SELECT, "replica", partial(_point_select, ground, database=database, rows=rows, calls=calls)),
        (REDIS_GET, "redis", partial(_redis_get, ground, calls=calls)),
    ):
        try:
            if store not in servers:
                raise BenchError(f"the {store} does not run on this machine")
            found[name] = await measured(servers[store])
        except BenchError as error:
            found[name] = {report.LEFT_OUT: str(error)}
    report.say(f"ceilings: {found}")
    return {NAME: found}


async def _point_select(ground: Ground, server: int, database: str, rows: int, calls: int) -> dict[str, Any]:
    """Return what a prepared point select costs the replica."""
    script = _script(ground.folder, rows)
    words = (_pgbench(server), "-n", "-M", "prepared", "-f", script, "-c", str(CLIENTS))
    words += ("-t", str(SELECTS_OF_A_CALL * calls // CLIENTS))
    before_s = cpu_s([server])
    output = await _output((*words, ground.stores.read_from(database)))
    return _figures(output, r"actually processed: (\d+)", r"tps = ([\d.]+)", cpu_s([server]) - before_s)


def _pgbench(server: int) -> str:
    """Return the program that came with the server, else the one that is installed."""
    beside = Path(f"/proc/{server}/exe").resolve().parent / "pgbench"
    return str(beside) if beside.exists() else _program("pgbench")


def _script(folder: Path, rows: int) -> str:
    path = folder / "select.sql"
    path.write_text(SELECT.format(last=rows - 1))
    return str(path)


async def _redis_get(ground: Ground, server: int, calls: int) -> dict[str, Any]:
    """Return what a GET of a value of 1 KiB costs Redis."""
    url = urlsplit(ground.stores.cache)
    where = (
        ("-s", url.path) if url.scheme == "unix" else ("-h", str(url.hostname), "-p", str(url.port or 6379))
    )
    words = (_program("redis-benchmark", "valkey-benchmark"), *where, "-t", "get", "-d", str(VALUE_BYTES))
    words += ("-r", "100000", "-c", str(CLIENTS), "-n", str(GETS_OF_A_CALL * calls))
    before_s = cpu_s([server])
    output = await _output(words)
    return _figures(
        output, r"(\d+) requests completed", r"([\d.]+) requests per second", cpu_s([server]) - before_s
    )


def _figures(output: str, count: str, rate: str, spent_s: float) -> dict[str, Any]:
    done, per_s = re.search(count, output), re.search(rate, output)
    if done is None or per_s is None:
        raise BenchError(f"no figures in:\n{output}")
    return {
        "cpu_us": round(spent_s / int(done[1]) * 1e6, 2),
        "per_s": float(per_s[1]),
        "operations": int(done[1]),
    }


def _program(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise BenchError(f"there is no {' or '.join(names)} on this machine")
    return found


async def _output(words: Sequence[str]) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError as error:
        process.kill()
        raise BenchError(f"{words[0]} took more than {TIMEOUT_S:g} s") from error
    if process.returncode:
        report.say(f"ceilings: {words[0]} failed: {output.decode(errors='replace')}")
        raise BenchError(f"{words[0]} failed")
    return output.decode(errors="replace")
