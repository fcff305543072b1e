"""What the chart's documents, dashboards and alerts say, beside what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from tests.chart.readme import README, with_table
from tests.unit.helm.chart import CHART, VALUES, of_kind, refusal, rendered

RUNBOOKS = CHART.parents[1] / "platform" / "runbooks.md"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
RULES = sorted((CHART / "rules").glob("*.yaml"))


def test_the_readme_has_the_values_of_now() -> None:
    assert README.read_text() == with_table(README.read_text()), "run python -m tests.chart.readme"


def test_every_version_of_the_chart_tells_what_it_asks_of_who_upgrades() -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    assert f"\n## {version}\n" in (CHART / "UPGRADING.md").read_text()


def test_values_that_are_gone_are_refused_with_what_came_of_them() -> None:
    text = (CHART / "templates" / "_deprecations.tpl").read_text()
    gone = re.findall(r'^  "([\w.]+)" "', text, re.MULTILINE)
    assert gone
    for path in gone:
        assert path in (CHART / "UPGRADING.md").read_text()
        assert f"{path}: is no value any more" in refusal({path: 1})


def test_nothing_is_rendered_that_the_cluster_was_asked_for_first() -> None:
    """Who renders without a cluster would lose what he asked for."""
    texts = [path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file()]
    assert not [text for text in texts if "APIVersions" in text or "lookup " in text]
    assert not [text for text in texts if "randAlpha" in text or "genCA" in text or "now |" in text]


def test_every_file_of_rules_and_dashboards_is_rendered_as_it_is() -> None:
    objects = rendered("metrics-values.yaml")
    shown = [data for item in of_kind(objects, "ConfigMap") for data in item["data"].items()]
    assert len(DASHBOARDS) == len(of_kind(objects, "ConfigMap")) - 1
    for path in DASHBOARDS:
        assert (path.name, path.read_text()) in shown
    groups = [item["spec"] for item in of_kind(objects, "PrometheusRule")]
    wanted = [yaml.safe_load(path.read_text().replace("{runbooks}", "RUNBOOKS.md")) for path in RULES]
    assert sorted(groups, key=json.dumps) == sorted(wanted, key=json.dumps)


def alerts() -> Iterator[dict[str, Any]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from (rule for rule in group["rules"] if "alert" in rule)


def test_every_alert_leads_to_a_page_that_says_what_to_do() -> None:
    headings = re.findall(r"^## (.+)$", RUNBOOKS.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for alert in alerts():
        link = alert["annotations"]["runbook_url"]
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert link.partition("#")[2] in anchors, link


def test_examples_are_what_the_values_files_speak_of() -> None:
    (cluster,) = yaml.safe_load_all((CHART / "examples" / "cloudnative-pg.yaml").read_text())
    postgres = yaml.safe_load((CHART / "ci" / "cnpg-values.yaml").read_text())["haproxy"]["postgres"]
    assert "cnpg-values.yaml" in VALUES
    assert postgres["writeService"].startswith(f"{cluster['metadata']['name']}-rw:")
    assert postgres["readService"].startswith(f"{cluster['metadata']['name']}-ro:")
