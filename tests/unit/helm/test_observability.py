"""Dashboards and alerts: what they ask for is there, and every alert has a section of the runbooks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.helm.metrics import ROOT, Instrument, instruments, labels, parsed

from entresol.codegen.dashboards import DASHBOARDS, write

CHART = ROOT / "helm" / "entresol"
RUNBOOKS = ROOT / "platform" / "runbooks.md"
WIDTH = 24


def dashboards() -> list[Path]:
    return sorted((CHART / "dashboards").glob("*.json"))


def rules() -> list[dict[str, Any]]:
    texts = [path.read_text() for path in sorted((CHART / "rules").glob("*.yaml"))]
    return [rule for text in texts for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def queries() -> list[str]:
    """Return every query of dashboards and rules."""
    panels = [panel for path in dashboards() for panel in json.loads(path.read_text())["panels"]]
    drawn = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    return drawn + [rule["expr"] for rule in rules()]


def series() -> set[str]:
    return {name for instrument in instruments() for name in instrument.series()}


def test_names_are_those_of_prometheus() -> None:
    assert Instrument("rpc.server.call.duration", "histogram", "s").series() == {
        f"rpc_server_call_duration_seconds_{end}" for end in ("bucket", "count", "sum")
    }
    assert Instrument("entresol.cache.reads", "counter", "").series() == {"entresol_cache_reads_total"}
    assert Instrument("entresol.events.slot.held", "gauge", "By").series() == {
        "entresol_events_slot_held_bytes"
    }
    assert len(series()) > 30


def test_every_query_can_be_parsed_and_asks_for_what_there_is() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    known, known_labels = series() | recorded, labels()
    assert len(queries()) > 60
    for text in queries():
        query = parsed(text)
        assert query.names, text
        assert query.names <= known, (query.names - known, text)
        assert query.labels <= known_labels, (query.labels - known_labels, text)


@pytest.mark.parametrize("text", ["sum(rate(x[5m])", "rate(x_total)", "x{y=}", "histogram_quantile(x)"])
def test_what_is_no_query_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(text)


def test_every_instrument_is_drawn_or_alerted_on() -> None:
    asked = {name for text in queries() for name in parsed(text).names}
    idle = [one.name for one in instruments() if not one.series() & asked]
    assert idle == []


def test_every_recorded_series_is_used() -> None:
    asked = {name for text in queries() for name in parsed(text).names}
    assert {rule["record"] for rule in rules() if "record" in rule} <= asked


def test_the_committed_dashboards_are_what_the_module_writes(tmp_path: Path) -> None:
    fresh = {path.name: path.read_text() for path in write(tmp_path)}
    committed = {path.name: path.read_text() for path in dashboards()}
    assert fresh == committed, (
        "write them again: python -m entresol.codegen.dashboards helm/entresol/dashboards"
    )


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_panels_fill_rows_and_lie_on_no_other(dashboard: Any) -> None:
    facts = json.loads(dashboard.text())
    assert len({panel["id"] for panel in facts["panels"]}) == len(facts["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in facts["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert all(x < WIDTH for x, _ in cells)
        taken |= cells
    assert facts["uid"] == f"entresol-{dashboard.name}"


def test_every_alert_says_what_is_wrong_how_urgent_it_is_and_where_its_runbook_is() -> None:
    assert len({alert["alert"] for alert in alerts()}) == len(alerts())
    for alert in alerts():
        assert alert["labels"] == {"severity": alert["labels"]["severity"]}
        assert alert["labels"]["severity"] in ("page", "ticket")
        notes = alert["annotations"]
        assert notes.keys() == {"summary", "description", "runbook_url"}
        assert notes["runbook_url"] == "{runbooks}#" + alert["alert"].lower()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    sections = re.split(r"^## ", RUNBOOKS.read_text(), flags=re.MULTILINE)[1:]
    by_name = {section.partition("\n")[0]: section for section in sections}
    assert by_name.keys() == {alert["alert"] for alert in alerts()}
    for alert in alerts():
        section = by_name[alert["alert"]]
        assert "*First look:*" in section
        assert "*Remedy:*" in section
        assert f"\n{alert['labels']['severity'].capitalize()}. " in section, alert["alert"]


def test_a_budget_is_watched_over_a_long_and_a_short_window() -> None:
    for alert in alerts():
        windows = re.findall(r"ratio_rate(\w+) > ([\d.]+) \* ([\d.]+)", alert["expr"])
        for (long, factor, budget), (short, *same) in zip(windows[::2], windows[1::2], strict=True):
            assert [factor, budget] == same, alert["alert"]
            assert minutes(long) == 12 * minutes(short)


def minutes(window: str) -> int:
    return int(window[:-1]) * {"m": 1, "h": 60, "d": 1440}[window[-1]]
