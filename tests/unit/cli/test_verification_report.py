"""What was found is counted right, and the report says it in every form."""

from __future__ import annotations

import json
import re

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from entresol import telemetry
from entresol.cli.verification.findings import LISTED_MAX, Difference, Findings, Share
from entresol.cli.verification.report import page, text


def _difference(name: str, *, is_explained: bool = False, age_s: float | None = None) -> Difference:
    return Difference(name, "one:9000", is_explained, 7, 9, age_s, ("title",))


@pytest.fixture
def findings() -> Findings:
    return _find(Findings((0.1, 1.0)))


def _find(findings: Findings) -> Findings:
    for number in range(1000):
        findings.aged(0.1, is_right=number > 0)
        findings.aged(1.0, is_right=True)
    findings.visible(is_right=True)
    findings.stale("stories/slow", 0.25)
    findings.stale("stories/quick", 0.125)
    findings.compared(None)
    findings.compared(_difference("stories/late", is_explained=True, age_s=0.25))
    findings.compared(_difference("stories/<b>"))
    findings.skip("over the budget", 3)
    findings.fail("two:9000")
    return findings


@pytest.mark.parametrize(
    ("right", "total", "nines"),
    [(999, 1000, 3.0), (1000, 1000, 3.0), (90, 100, 1.0), (0, 10, 0.0), (1, 1, 0.0)],
)
def test_nines_are_of_the_share_that_was_right_and_a_lower_bound_when_none_was_wrong(
    right: int, total: int, nines: float
) -> None:
    assert Share(right, total).nines == pytest.approx(nines)
    assert Share(right, total).facts()["nines_at_least"] is (right == total)


def test_what_was_never_read_has_no_nines() -> None:
    assert Share().nines is None
    assert "not read" in text(Findings((0.1,)).facts())


def test_the_facts_are_one_json_object(findings: Findings) -> None:
    facts = json.loads(json.dumps(findings.facts()))
    assert facts["consistency"] == [
        {"age_s": 0.1, "reads": 1000, "wrong": 1, "nines": 3.0, "nines_at_least": False},
        {"age_s": 1.0, "reads": 1000, "wrong": 0, "nines": 3.0, "nines_at_least": True},
    ]
    assert facts["worst_staleness"] == {"seconds": 0.25, "name": "stories/slow"}
    assert facts["hits"] == {"compared": 3, "same": 1, "explained": 1, "unexplained": 1}
    assert [item["name"] for item in facts["differences"]] == ["stories/<b>", "stories/late"]
    assert (facts["skipped"], facts["failed"]) == ({"over the budget": 3}, {"two:9000": 1})


def test_the_text_names_what_differs(findings: Findings) -> None:
    said = text(findings.facts())
    assert said.startswith("1 of 3 hits differ from the primary")
    assert "consistent after 0.1 s" in said
    assert "999 of 1000 (3.0 nines)" in said
    assert "1000 of 1000 (3.0+ nines)" in said
    assert "UNEXPLAINED: stories/<b> from one:9000: version 7 in the cache, 9 on the primary" in said
    assert "explained: stories/late" in said
    assert "0.25 s after the row had changed; other values in title" in said


def test_a_record_that_differs_often_takes_one_line() -> None:
    findings = Findings(())
    for _ in range(7):
        findings.compared(_difference("stories/often"))
    findings.compared(_difference("stories/once", is_explained=True, age_s=0.1))
    lines = [line for line in text(findings.facts()).splitlines() if "xplained: stories" in line.lower()]
    assert [line.split()[1] for line in lines] == ["stories/often", "stories/once"]
    assert lines[0].endswith("; 6 more of it")


def test_the_page_stands_alone_with_a_bar_for_each_age(findings: Findings) -> None:
    document = page(findings.facts())
    assert "stories/&lt;b&gt;" in document
    assert not {"<script", "src=", "href="} & set(document.split())
    widths = re.findall(r'<rect [^>]*width="([0-9.]+)"', document)
    assert len(widths) == 2
    assert float(widths[0]) == float(widths[1]) > 100


def test_differences_are_listed_up_to_a_bound_and_counted_beyond() -> None:
    findings = Findings(())
    for number in range(LISTED_MAX + 5):
        findings.compared(_difference(f"stories/{number}", is_explained=True, age_s=0.0))
    findings.compared(_difference("stories/bad"))
    facts = findings.facts()
    assert (facts["hits"]["explained"], len(facts["differences"])) == (LISTED_MAX + 5, LISTED_MAX + 1)
    assert facts["differences"][0]["name"] == "stories/bad"
    assert findings.unexplained == 1


def test_the_same_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    for name in ("VERIFY_READS", "VERIFY_DIFFERENCES", "VERIFY_SKIPPED"):
        monkeypatch.setattr(telemetry, name, meter.create_counter(name))
    monkeypatch.setattr(telemetry, "VERIFY_STALENESS", meter.create_histogram("VERIFY_STALENESS"))
    _find(Findings((0.1, 1.0)))
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        metric.name: {tuple((point.attributes or {}).values()): point for point in metric.data.data_points}
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    reads = {key: point.value for key, point in points["verify_reads"].items()}
    assert reads == {
        (0.1, "stale"): 1, (0.1, "consistent"): 999, (1.0, "consistent"): 1000, ("failed",): 1,
    }  # fmt: skip
    assert {key: point.value for key, point in points["verify_differences"].items()} == {
        (True,): 1,
        (False,): 1,
    }
    assert points["verify_skipped"]["over the budget",].value == 3
    assert points["verify_staleness"][()].max == 0.25
