"""The report for people: as text, and as a page that needs nothing else, with its plot drawn in SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

Facts = Mapping[str, Any]
Row = tuple[str, str]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } svg text { font-size: 13px }
.bad { color: #b00020; font-weight: 600 }
th, td { border-bottom: 1px solid #ddd; padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top }
"""
_BAR_HEIGHT, _BAR_GAP, _LABEL_WIDTH, _PLOT_WIDTH = 28, 12, 150, 420


def rows(facts: Facts) -> Iterable[Row]:
    """Yield what was measured, and how much."""
    for item in facts["consistency"]:
        yield f"consistent after {item['age_s']:g} s", _share(item)
    yield "visible everywhere within 2 s", _share(facts["visible_everywhere_within_2_s"])
    worst = facts["worst_staleness"]
    yield "worst staleness", f"{worst['seconds']:g} s{' ' + worst['name'] if worst['name'] else ''}"
    hits = facts["hits"]
    yield "hits compared with the primary", f"{hits['compared']}, of which {hits['same']} were the same"
    yield "differences", f"{hits['explained']} explained, {hits['unexplained']} unexplained"
    writes = facts["writes"]
    yield "writes", f"{writes['committed']} committed, {writes['sampled']} sampled"
    if writes["gaps_in_the_log"]:
        yield "gaps in the log", str(writes["gaps_in_the_log"])
    for reason, count in facts["skipped"].items():
        yield f"skipped: {reason}", str(count)
    for target, count in facts["failed"].items():
        yield f"failed: {target}", str(count)


def text(facts: Facts) -> str:
    """Return the report for a terminal."""
    lines = [facts["verdict"], ""]
    lines += [f"{label:32} {value}" for label, value in rows(facts)]
    lines += [f"  {sentence}" for sentence, _ in _sentences(facts)]
    return "\n".join(lines)


def page(facts: Facts) -> str:
    """Return the report as one HTML document."""
    table = "".join(
        f"<tr><th>{escape(label)}</th><td>{escape(value)}</td></tr>" for label, value in rows(facts)
    )
    listed = "".join(
        f'<li class="{"" if is_explained else "bad"}">{escape(sentence)}</li>'
        for sentence, is_explained in _sentences(facts)
    )
    differences = f"<h2>Differences</h2><ul>{listed}</ul>" if listed else ""
    marked = "bad" if facts["hits"]["unexplained"] else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Consistency of the cache</title>'
        f"<style>{_STYLE}</style></head><body><h1>Consistency of the cache</h1>"
        f'<p class="{marked}">{escape(facts["verdict"])}</p>{_plot(facts["consistency"])}'
        f"<p>Nines of the share of sampled writes that a read of this age shows; with a + nothing was wrong, and more "
        f"reads would show more nines.</p><table>{table}</table>{differences}</body></html>\n"
    )


def _plot(items: Sequence[Facts]) -> str:
    """Return a bar for each age, as long as it has nines."""
    longest = max((item["nines"] or 0.0 for item in items), default=0.0) or 1.0
    bars = []
    for number, item in enumerate(items):
        top = number * (_BAR_HEIGHT + _BAR_GAP)
        width = _PLOT_WIDTH * (item["nines"] or 0.0) / longest
        color = "#2a7f62" if item["nines_at_least"] else "#c77700"
        middle = top + _BAR_HEIGHT / 2 + 5
        bars.append(
            f'<text x="0" y="{middle}">after {item["age_s"]:g} s</text>'
            f'<rect x="{_LABEL_WIDTH}" y="{top}" width="{max(width, 1):.1f}" height="{_BAR_HEIGHT}" fill="{color}"/>'
            f'<text x="{_LABEL_WIDTH + width + 8:.1f}" y="{middle}">{escape(_nines(item))}</text>'
        )
    height = len(items) * (_BAR_HEIGHT + _BAR_GAP)
    size = f'viewBox="0 0 {_LABEL_WIDTH + _PLOT_WIDTH + 200} {height}" width="100%"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{"".join(bars)}</svg>'


def _nines(item: Facts) -> str:
    if item["nines"] is None:
        return "not read"
    return f"{item['nines']:.1f}{'+' if item['nines_at_least'] else ''} nines"


def _share(item: Facts) -> str:
    if not item["reads"]:
        return "not read"
    return f"{item['reads'] - item['wrong']} of {item['reads']} ({_nines(item)})"


def _sentences(facts: Facts) -> list[tuple[str, bool]]:
    """Return a sentence for each record, of its first difference, and whether it is explained; those come last."""
    by_record: dict[tuple[bool, str], list[Facts]] = {}
    for difference in facts["differences"]:
        by_record.setdefault((difference["explained"], difference["name"]), []).append(difference)
    return [
        (f"{_sentence(found[0])}{f'; {len(found) - 1} more of it' if found[1:] else ''}", is_explained)
        for (is_explained, _), found in sorted(by_record.items())
    ]


def _sentence(difference: Facts) -> str:
    kind = "explained" if difference["explained"] else "UNEXPLAINED"
    age = "" if difference["age_s"] is None else f", {difference['age_s']:g} s after the row had changed"
    fields = f"; other values in {', '.join(difference['fields'])}" if difference["fields"] else ""
    versions = (
        f"version {difference['cached_version']} in the cache, {difference['primary_version']} on the primary"
    )
    return f"{kind}: {difference['name']} from {difference['target']}: {versions}{age}{fields}"
