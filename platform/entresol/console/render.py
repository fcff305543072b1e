"""Templates, and how values are written in them: everything is escaped, and numbers read alike on every page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from entresol.console.page import link

_NONE = "\N{EN DASH}"
_TEXT = r'"(?:[^"\\]|\\.)*"'
_TOKENS = re.compile(
    rf"(?P<key>{_TEXT})(?=\s*:)|(?P<text>{_TEXT})|(?P<word>\b(?:true|false|null)\b|-?\d[\d.eE+-]*)"
)
_SPANS = ((31_557_600, "years"), (86400, "d"), (3600, "h"), (60, "min"))
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB")


def rendered(template: str, values: Mapping[str, Any]) -> str:
    """Return a page."""
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["link"] = link
    environment.filters.update(
        count=count,
        share=share,
        span=span,
        size=size,
        moment=moment,
        ago=ago,
        pretty=pretty,
        short=short,
        sum_values=sum_values,
        told=told,
    )
    return environment


def count(value: float | None) -> str:
    """Return a number with its thousands apart."""
    return _NONE if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Return a part of one as a percentage, which is 100 only when nothing lacks."""
    if value is None:
        return _NONE
    return "100 %" if value >= 1 else f"{min(value * 100, 99.99):.{2 if value > 0.99 else 1}f} %"


def span(seconds: float | None) -> str:
    """Return a time as people say it: 12 ms, 3.4 s, 5 min."""
    if seconds is None:
        return _NONE
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs" if seconds else "0 ms"
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
    for length, unit in _SPANS:
        if seconds >= length:
            return f"{seconds / length:.{1 if seconds < 10 * length else 0}f} {unit}"
    return f"{seconds:.1f} s"


def size(value: float | None) -> str:
    """Return a number of bytes."""
    if value is None:
        return _NONE
    unit = 0
    while value >= 1024 and unit < len(_BYTES) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.{1 if unit and value < 10 else 0}f} {_BYTES[unit]}"


def moment(time: datetime | str | None) -> Markup | str:
    """Return a time to the second, in UTC, with its whole text behind it."""
    if time is None or time == "":
        return _NONE
    given = _time(time)
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(
        given.isoformat(), given.strftime("%Y-%m-%d %H:%M:%S")
    )


def ago(time: datetime | str | None) -> Markup | str:
    """Return how long ago a time was, or in how long it will be."""
    if time is None or time == "":
        return _NONE
    given = _time(time)
    past_s = (datetime.now(UTC) - given).total_seconds()
    text = f"{span(past_s)} ago" if past_s >= 0 else f"in {span(-past_s)}"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(given.isoformat(), text)


def pretty(value: Any) -> Markup:
    """Return a value as JSON, its keys, texts and numbers told apart."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    parts, end = [], 0
    for found in _TOKENS.finditer(text):
        parts.append(escape(text[end : found.start()]))
        parts.append(Markup('<span class="json-{}">{}</span>').format(found.lastgroup, found[0]))
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def told(text: str) -> Markup:
    """Return a comment of a proto, with what stands in backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def short(text: str, length: int = 60) -> str:
    """Return a text on one line, its end left out where it is long."""
    line = " ".join(str(text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def sum_values(counts: Mapping[str, int]) -> int:
    """Return the sum of counts."""
    return sum(counts.values())


def _time(time: datetime | str) -> datetime:
    return datetime.fromisoformat(time) if isinstance(time, str) else time
