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

COLUMNS = 3
BAR_INCHES, TITLE_INCHES, WIDTH_INCHES = 0.22, 0.9, 16.0
OURS, THEIRS = "#2a6fb0", "#b9b9b9"


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """Draw the CPU of every workload, and of the latencies the 50th and 99th percentile."""
    workloads = figures["workloads"]
    rows = math.ceil(len(workloads) / COLUMNS)
    bars = max(len(result["systems"]) for result in workloads.values())
    height = rows * (bars * BAR_INCHES + TITLE_INCHES)
    figure, axes = pyplot.subplots(rows, COLUMNS, figsize=(WIDTH_INCHES, height), squeeze=False)
    for axis, (name, result) in zip(axes.flat, workloads.items(), strict=False):
        _panel(axis, name, result["systems"])
    for axis in axes.flat[len(workloads) :]:
        axis.axis("off")
    figure.suptitle(
        f"{figures['date'][:10]}, commit {str(figures['commit'])[:8]}, medians of {figures['rounds']} rounds"
    )
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    figure.savefig(path)


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
