"""Figures of the console: what was counted, as ratios, sums and quantiles; and the words in which they are told."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.core import CounterMetricFamily

from entresol.console import figures
from entresol.console.figures import Recent, quantile, reads, reads_by_resource, samples_of, sums
from entresol.console.page import Page, View, find, link
from entresol.console.render import ago, count, pretty, share, short, size, span, told


def family(**counts: int) -> CounterMetricFamily:
    found = CounterMetricFamily("entresol_cache_reads", "", labels=["entresol_resource", "entresol_reason"])
    for name, number in counts.items():
        resource, _, reason = name.partition("_")
        found.add_metric([resource, reason], number)
    return found


def test_hits_are_told_by_resource_and_the_workers_counts_are_added() -> None:
    samples = samples_of([family(a_near=3, a_hit=1, a_miss=4, b_miss=2), family(a_hit=8, b_failure=2)])
    found = reads_by_resource(samples)
    assert found["a"] == figures.Reads(near=3, hit=9, miss=4)
    assert found["a"].ratio == 12 / 16
    assert found["b"].ratio == 0
    assert reads(sums(samples, figures.READS, figures.REASON)).total == 20
    assert reads({}).ratio is None


def test_the_last_minute_is_what_was_counted_since_somebody_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(figures.time, "monotonic", lambda: now[0])
    recent = Recent()

    def at(seconds: float, number: int) -> tuple[int, float]:
        now[0] = 100.0 + seconds
        change, window_s = recent.change(Counter({("hit",): number}))
        return change[("hit",)], window_s

    assert at(0, 10) == (0, 0)
    assert at(30, 15) == (5, 30)
    assert at(60, 25) == (15, 60)
    assert at(90, 30) == (15, 60), "what was before the last minute is left out"
    assert at(1000, 90) == (0, 0), "nobody looked for so long that it is no minute"


def test_quantiles_are_the_bounds_of_their_buckets() -> None:
    infinite = float("inf")
    assert quantile([(0.1, 50), (0.5, 99), (1.0, 100), (infinite, 100)], 0.5) == 0.1
    assert quantile([(infinite, 100), (1.0, 100), (0.5, 99), (0.1, 50)], 0.99) == 0.5
    assert quantile([(0.1, 0), (infinite, 7)], 0.5) == 0.1, "the last bound is all that is known"
    assert quantile([(0.1, 0), (infinite, 0)], 0.5) is None
    assert quantile([], 0.5) is None


def test_a_share_is_whole_only_when_nothing_lacks() -> None:
    assert [share(value) for value in (1.0, 0.999999, 0.9934, 0.5, 0.0, None)] == [
        "100 %", "99.99 %", "99.34 %", "50.0 %", "0.0 %", "\N{EN DASH}",
    ]  # fmt: skip


def test_times_and_sizes_are_told_as_people_say_them() -> None:
    assert [span(value) for value in (0, 25e-6, 0.0042, 0.25, 3.21, 90, 7200, 86400 * 12)] == [
        "0 ms", "25 \N{MICRO SIGN}s", "4.2 ms", "250 ms", "3.2 s", "1.5 min", "2.0 h", "12 d",
    ]  # fmt: skip
    assert [size(value) for value in (0, 1023, 1024, 64 * 1024**2)] == ["0 B", "1023 B", "1.0 KiB", "64 MiB"]
    assert count(1234567) == "1,234,567"
    assert "5.0 min ago" in ago(datetime.now(UTC) - timedelta(minutes=5))
    assert "in 2.0 h" in ago(datetime.now(UTC) + timedelta(hours=2, seconds=1))


def test_json_is_shown_as_it_is_and_never_as_markup() -> None:
    value = {"a<b>": '"</pre><script>', "n": [1, -2.5e3, True, None], "t": 'k": 1'}
    shown = pretty(value)
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert json.loads(shown.striptags().replace(" :", ":")) is not None
    assert '<span class="json-key">&#34;n&#34;</span>' in shown
    assert told("a `<b>` c") == "a <code>&lt;b&gt;</code> c"
    assert short("a\n b" + "c" * 80, 10) == "a bcccccc…"


def test_a_page_is_found_by_its_path_and_a_link_leads_to_it() -> None:
    async def answer(_: object) -> View:
        return View("", {})

    pages = [
        Page("GET", "/", answer),
        Page("GET", "/jobs/{id}", answer),
        Page("POST", "/jobs/{id}/end", answer),
    ]
    assert find(pages, "GET", "/") == (pages[0], {})
    path = link("jobs", "a/b?c", state="x y", queue="").removeprefix("/console")
    assert path == "/jobs/a%2Fb%3Fc?state=x+y"
    assert find(pages, "GET", path.partition("?")[0]) == (pages[1], {"id": "a/b?c"})
    assert find(pages, "GET", "/jobs/1/end") is None
    assert find(pages, "GET", "/jobs/") is None
