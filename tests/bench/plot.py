"""`python -m tests.bench.plot FIGURES.json`: draws the figures of a run beside them, as SVG."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot

COLUMNS, BARS_MIN = 3, 6
BAR_INCHES, TITLE_INCHES, WIDTH_INCHES = 0.22, 0.9, 16.0
INTERVAL_S = 0.25  # of `load.py`, which this environment cannot import
OURS, THEIRS = "#2a6fb0", "#b9b9b9"


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Draw the CPU of every workload, of the latencies the 50th and 99th percentile, and how a Get's CPU grows.

    Of machines: what they answer by their number, beside what is linear, and what is answered while one is away.
    """
    workloads, sizes = figures.get("workloads") or {}, figures.get("sizes") or {}
    machines = figures.get("curves") or {}
    count = len(workloads) + len(sizes) + len(machines)
    rows = math.ceil(count / COLUMNS)
    bars = max(len(result["systems"]) for result in workloads.values()) if workloads else BARS_MIN
    height = rows * (max(bars, BARS_MIN) * BAR_INCHES + TITLE_INCHES)
    figure, grid = pyplot.subplots(rows, COLUMNS, figsize=(WIDTH_INCHES, height), squeeze=False)
    axes = iter(grid.flat)
    for (name, result), axis in zip(workloads.items(), axes, strict=False):
        _panel(axis, name, result["systems"])
    for (name, points), axis in zip(sizes.items(), axes, strict=False):
        _curve(axis, name, points)
    for (name, found), axis in zip(machines.items(), axes, strict=False):
        (_machines if "per_s" in found else _loss)(axis, name, found)
    for axis in grid.flat[count:]:
        axis.axis("off")
    figure.suptitle(
        f"{figures['date'][:10]}, commit {str(figures['commit'])[:8]}, medians of {figures['rounds']} rounds"
    )
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    figure.savefig(path)


def _curve(axis: Any, name: str, points: Mapping[str, Any]) -> None:
    places, found = list(map(int, points)), list(points.values())
    axis.plot(places, [one["cpu_us"] for one in found], color=OURS, marker="o")
    lows, highs = ([one[end] for one in found] for end in ("cpu_us_min", "cpu_us_max"))
    axis.vlines(places, lows, highs, color="black", linewidth=1)
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_title(f"sizes: {name.replace('_', ' ')}", fontsize=10, loc="left")
    axis.set_ylabel("CPU us for a Get", fontsize=8)
    axis.tick_params(labelsize=8)


def _machines(axis: Any, name: str, found: Mapping[str, Any]) -> None:
    rates = {int(count): rate for count, rate in found["per_s"].items()}
    fewest, most = min(rates), max(rates)
    axis.plot([fewest, most], [rates[fewest], rates[fewest] * most / fewest], color=THEIRS, linestyle="--")
    axis.plot([*rates], [*rates.values()], color=OURS, marker="o")
    axis.set_ylim(bottom=0)
    _label(axis, f"{name}: calls a second, and what is linear", "number")


def _loss(axis: Any, name: str, found: Mapping[str, Any]) -> None:
    moments_s = [number * INTERVAL_S for number in range(len(found["ended"]))]
    axis.plot(moments_s, [ended / INTERVAL_S for ended in found["ended"]], color=OURS)
    axis.set_ylim(bottom=0)
    _label(axis, f"{name.replace('_', ' ')}: calls a second, {found['failed']} failed", "s")


def _label(axis: Any, title: str, places: str) -> None:
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel(places, fontsize=8)
    axis.tick_params(labelsize=8)


def _panel(axis: Any, name: str, systems: Mapping[str, Any]) -> None:
    names = list(systems)[::-1]
    is_latency = name.startswith("latency")
    figure, unit = (
        ("p50_ms", "ms: p50, and a line to p99") if is_latency else ("cpu_us", "CPU us for an operation")
    )
    values = [systems[one][figure] for one in names]
    axis.barh(names, values, color=[OURS if "entresol" in one else THEIRS for one in names])
    for place, one in enumerate(names):
        low, high = (
            (systems[one]["p50_ms"], systems[one]["p99_ms"])
            if is_latency
            else (systems[one]["cpu_us_min"], systems[one]["cpu_us_max"])
        )
        axis.plot([low, high], [place, place], color="black", linewidth=1)
        axis.annotate(f" {values[place]:.3g}", (high, place), va="center", fontsize=8)
    axis.set_title(name, fontsize=10, loc="left")
    axis.set_xlabel(unit, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.margins(x=0.15)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    draw(json.loads(source.read_text()), source.with_suffix(".svg"))
