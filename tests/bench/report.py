"""The report of a run: medians over rounds beside every raw figure, and where and when they were taken."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.processes import ROOT, BenchError

SUBJECTS = ("entresol", "graph_entresol")
RESULTS = Path(__file__).parent / "results"
PYTHON = ROOT / ".venv-peers" / "bin" / "python"  # has what draws
DRAW_S = 120.0
LOG_TAIL_CHARACTERS = 2000
FIGURES = ("cpu_us", "per_s", "p50_ms", "p99_ms", "hit_ratio", "memory_mib")
INTERVAL_S = 0.25  # of what the load counts over time
LEFT_OUT = "left_out"  # in place of figures: why there are none
Rounds = Sequence[Mapping[str, Any]]
_STARTED_S = time.monotonic()


def say(text: str) -> None:
    """Tell the person who waits how far it is, and after how long."""
    print(f"{time.monotonic() - _STARTED_S:6.0f} s  {text}", file=sys.stderr, flush=True)


def parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that every benchmark takes."""
    made = argparse.ArgumentParser(prog=f"python -m tests.bench.{name}".rstrip("."), description=about)
    made.add_argument("--quick", action="store_true", help="fewer rounds of fewer calls, in about a minute")
    made.add_argument("--rows", type=int, default=20_000, help="stories in the table")
    made.add_argument("--seed", type=int, default=1, help="of the rows and of the keys that are asked for")
    made.add_argument("--out", type=Path, help="where the JSON goes (tests/bench/results)")
    return made


def main(
    arguments: argparse.Namespace,
    run: Callable[[argparse.Namespace, Path], Coroutine[Any, Any, dict[str, Any]]],
    summarize: Callable[[Mapping[str, Any]], str],
    holds: Callable[[Mapping[str, Any]], bool] = lambda result: True,
) -> int:
    """Run a benchmark, keep its figures and print what matters; return 0 if they hold.

    1 and the reason when it cannot give any.
    """
    with tempfile.TemporaryDirectory(prefix="entresol-bench-") as folder:
        try:
            result = asyncio.run(run(arguments, Path(folder)))
        except BenchError as error:
            say(f"no figures: {error}")
            for log in sorted(Path(folder).glob("*.log")):
                say(f"--- {log.name}\n{log.read_text(errors='replace')[-LOG_TAIL_CHARACTERS:]}")
            return 1
    out = arguments.out or RESULTS / f"{result['bench']}-{result['date'].replace(':', '')[:17]}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(summarize(result))
    is_drawn = any(result.get(name) for name in ("workloads", "sizes", "curves"))
    say(f"every figure is in {out}{_drawn(out) if is_drawn else ''}")
    return 0 if holds(result) else 1


def _drawn(out: Path) -> str:
    """Draw the figures where that can be done, and say where it is."""
    if not PYTHON.exists():
        return ""
    done = subprocess.run(
        (PYTHON, "-m", "tests.bench.plot", out),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DRAW_S,
        check=False,
    )
    if done.returncode:
        return f"; it could not be drawn: {done.stderr.strip().splitlines()[-1]}"
    return f", drawn in {out.with_suffix('.svg')}"


def summary(rounds: Rounds) -> dict[str, Any]:
    """Return the medians over rounds, the range of the CPU, and the rounds themselves."""
    cpu_us = [entry["cpu_us"] for entry in rounds]
    medians = {name: median([entry[name] for entry in rounds]) for name in FIGURES}
    return medians | {"cpu_us_min": min(cpu_us), "cpu_us_max": max(cpu_us), "rounds": list(rounds)}


def grown(rates: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    """Return a curve: the medians of what each number of machines does in a second, and times what the fewest do."""
    medians = {count: statistics.median(found) for count, found in rates.items()}
    fewest = medians[min(medians)]
    return {
        "per_s": medians,
        "per_s_rounds": rates,
        "times": {count: round(rate / fewest, 2) for count, rate in medians.items()},
    }


def median(values: Sequence[float | None]) -> float | None:
    """Return the median; None for what is not measured in this workload."""
    known = [value for value in values if value is not None]
    return round(statistics.median(known), 4) if known else None


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the sorted values does not exceed."""
    return values[min(len(values) - 1, int(len(values) * share))]


def spread_ms(values_s: Sequence[float]) -> dict[str, float]:
    """Return how many there are, their median, 99th percentile and maximum."""
    ordered = sorted(1000 * value for value in values_s)
    figures = {"p50": percentile(ordered, 0.5), "p99": percentile(ordered, 0.99), "max": ordered[-1]}
    return {"count": len(ordered), **{name: round(value, 2) for name, value in figures.items()}}


def workload(by_system: Mapping[str, Rounds]) -> dict[str, Any]:
    """Return the summaries of one workload and how many times Entresol's CPU each peer needs."""
    summaries = {name: summary(rounds) for name, rounds in by_system.items()}
    ours = next((name for name in SUBJECTS if name in summaries), None)
    ratios = {
        name: round(figures["cpu_us"] / summaries[ours]["cpu_us"], 3)
        for name, figures in summaries.items()
        if ours is not None and name != ours
    }
    return {"cpu_ratio_to_entresol": ratios, "systems": summaries}


def place() -> dict[str, Any]:
    """Return the commit, the date and the machine."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain")),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
            "system": platform.platform(),
            "python": platform.python_version(),
        },
    }


def table(workloads: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the medians as lines for a person."""
    rows = [("workload", "system", *FIGURES, "ratio")]
    for name, result in workloads.items():
        for system, figures in result["systems"].items():
            ratio = result["cpu_ratio_to_entresol"].get(system)
            cells = (cell(figures[key]) for key in FIGURES)
            rows.append((name, system, *cells, "" if ratio is None else str(ratio)))
    return aligned(rows)


def cell(figure: float | None) -> str:
    """Return a figure as it stands in a table: a dash for what was not measured."""
    return "-" if figure is None else f"{figure:.4g}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _git(*arguments: str) -> str | None:
    """Return what git prints, or None where there is no git or no repository."""
    try:
        done = subprocess.run(
            ("git", *arguments), cwd=ROOT, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
