"""The dashboards of the chart: what is drawn of each metric.

`python -m entresol.codegen.dashboards helm/entresol/dashboards` writes them.

In queries FLEET stands for the labels that choose whose metrics these are, and RATE for the time that a rate is taken
over (`grafana.py`).
"""

from __future__ import annotations

from pathlib import Path

from entresol.codegen.dashboards import cache, database, jobs, overview

DASHBOARDS = (overview.DASHBOARD, cache.DASHBOARD, database.DASHBOARD, jobs.DASHBOARD)


def write(folder: Path) -> list[Path]:
    """Write every dashboard into `folder`, and return the files."""
    paths = [folder / f"{dashboard.name}.json" for dashboard in DASHBOARDS]
    for path, dashboard in zip(paths, DASHBOARDS, strict=True):
        path.write_text(dashboard.text(), encoding="utf-8")
    return paths
