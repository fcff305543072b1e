"""Panels of Grafana from a title, a unit and queries: what they have in common is said once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SCHEMA = 39  # of Grafana 10.4 and newer
_WIDTH, _HEIGHT = 24, 8
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# What stands in queries for whose metrics are looked at (all matches what has no such label), and for the time that a
# rate is taken over.
_SHORT = {"FLEET": 'namespace=~"$namespace"', "RATE": "$__rate_interval"}


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `queries` by their legends; `worst` is where it turns red, in the unit."""

    title: str
    unit: str
    queries: Mapping[str, str]
    meaning: str = ""
    kind: str = "timeseries"  # or stat
    width: int = 8
    worst: float | None = None
    is_low_bad: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page: rows of panels, each with a heading."""

    name: str  # of its file
    title: str
    rows: Mapping[str, Sequence[Panel]]

    def text(self) -> str:
        """Return what Grafana imports."""
        return json.dumps(self._facts(), indent=1, ensure_ascii=False) + "\n"

    def _facts(self) -> dict[str, Any]:
        return {
            "uid": f"entresol-{self.name}",
            "title": f"Entresol: {self.title}",
            "tags": ["entresol"],
            "schemaVersion": _SCHEMA,
            "editable": True,
            "time": {"from": "now-6h", "to": "now"},
            "refresh": "30s",
            "links": [{"type": "dashboards", "tags": ["entresol"], "title": "Entresol", "asDropdown": True}],
            "templating": {"list": _variables()},
            "panels": self._panels(),
        }

    def _panels(self) -> list[dict[str, Any]]:
        panels: list[dict[str, Any]] = []
        y = 0
        for heading, row in self.rows.items():
            panels.append(_heading(len(panels) + 1, heading, y))
            x, y = 0, y + 1
            for panel in row:
                if x + panel.width > _WIDTH:
                    x, y = 0, y + _HEIGHT
                panels.append(_drawn(len(panels) + 1, panel, x, y))
                x += panel.width
            y += _HEIGHT
        return panels


def _variables() -> list[dict[str, Any]]:
    namespaces = "label_values(rpc_server_call_duration_seconds_count, namespace)"
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "namespace",
            "label": "Namespace",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": namespaces, "refId": "namespaces"},
            "refresh": 2,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": "All", "value": "$__all"},
        },
    ]


def _heading(number: int, title: str, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "panels": [],
        "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
    }


def _drawn(number: int, panel: Panel, x: int, y: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.worst is not None:
        below, above = ("red", "green") if panel.is_low_bad else ("green", "red")
        steps = [{"color": below, "value": None}, {"color": above, "value": panel.worst}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        if panel.kind == "timeseries":
            defaults["custom"] = {"thresholdsStyle": {"mode": "line"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHT},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": _SOURCE,
                "expr": _whole(query),
                "legendFormat": legend,
            }
            for at, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _whole(query: str) -> str:
    for short, text in _SHORT.items():
        query = query.replace(short, text)
    return query
