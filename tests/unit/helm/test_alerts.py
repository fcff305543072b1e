"""Alerts in Prometheus's own hands: each comes of the series that it is for, and goes when they are well again."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from tests.prometheus import promtool_or_skip
from tests.unit.helm.metrics import ROOT
from tests.unit.helm.test_observability import alerts

SERIES = Path(__file__).with_name("alerts.yaml")
RULES = sorted((ROOT / "helm" / "entresol" / "rules").glob("*.yaml"))


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        [str(promtool_or_skip()), *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_rules() -> None:
    text = promtool("check", "rules", *map(str, RULES))
    assert text.count("SUCCESS") == len(RULES)


@pytest.mark.timeout(110)
def test_alerts_come_and_go_as_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(SERIES))


def test_every_alert_is_seen_to_come_and_to_stay_away() -> None:
    seen: dict[str, set[bool]] = defaultdict(set)
    for block in yaml.safe_load(SERIES.read_text())["tests"]:
        for expected in block["alert_rule_test"]:
            seen[expected["alertname"]].add(bool(expected["exp_alerts"]))
    assert seen == {alert["alert"]: {True, False} for alert in alerts()}
