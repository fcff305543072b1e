"""The page of what `entresol verify` found: nothing, a run that goes on, and records that differ."""

from __future__ import annotations

import time
import uuid

from tests.integration.console.conftest import Shown

from entresol.cli.verification.findings import Difference, Findings
from entresol.storage.verifications import KEPT, Verifications


def found_of(**changes: object) -> Findings:
    findings = Findings((0.1, 1.0), began_s=time.time(), ran_s=60.0, writes=1200, sampled=1000)
    for age_s, wrong in ((0.1, 10), (1.0, 0)):
        for number in range(1000):
            findings.aged(age_s, is_right=number >= wrong)
    findings.compared(None)
    return findings


def keep(stories: Shown, findings: Findings, id: uuid.UUID | None = None) -> None:
    running = stories.running
    running.run(Verifications(running.platform.pools).keep(id or uuid.uuid4(), findings.facts()))


def test_it_says_how_to_verify_where_nobody_has(stories: Shown) -> None:
    page = stories.browser.get("/console/verification")
    assert page.status == 200
    assert "Nobody has verified this cache yet." in page.text
    assert f"entresol verify --target {stories.running.address}" in page.text


def test_nines_are_shown_by_age_and_what_differs_by_name(stories: Shown) -> None:
    findings, id = found_of(), uuid.uuid4()
    keep(stories, findings, id)
    page = stories.browser.get("/console/verification")
    assert "No unexplained difference in 1 hits." in page.text
    assert "2.0 990 of 1,000" in page.text
    assert "3.0+ 1,000 of 1,000" in page.text
    assert page.text.count("not read") == 2, "by every server: above, and in the run's line"

    findings.compared(Difference("users/<ann>", "one:9000", False, 3, 4, 7.0, ("display_name",)))
    keep(stories, findings, id)
    page = stories.browser.get("/console/verification")
    assert "1 of 2 hits differ from the primary" in page.text
    assert "users/<ann>" in page.text
    assert page.text.count("2.0 990 of 1,000") == 2, "the run has one line, however often it was kept"


def test_the_database_keeps_the_last_runs(stories: Shown) -> None:
    for number in range(KEPT + 3):
        findings = found_of() if number in (0, KEPT + 2) else Findings((), began_s=1.0 + number)
        keep(stories, findings)
    running = stories.running
    kept = running.run(Verifications(running.platform.pools).last(2 * KEPT))
    assert len(kept) == KEPT
    assert [bool(one.facts["consistency"]) for one in kept[:3]] == [True, True, False]
