"""The table of values in the chart's README, made of values.yaml: `python -m tests.chart.readme` writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[2] / "helm" / "entresol"
README = CHART / "README.md"
BEGIN, END = "<!-- values -->\n", "<!-- /values -->\n"
_KEY = re.compile(r"( *)([\w]+):(?: |$)")


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield path, default and meaning of every value; of a map that has entries, the meaning alone."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    above: list[str] = []
    path: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        found = _KEY.match(line)
        if stripped.startswith("#"):
            above.append(stripped.removeprefix("#").strip())
            continue
        if found:
            path[len(found[1]) // 2 :] = [found[2]]
            default = _at(values, path)
            is_map = isinstance(default, dict) and bool(default)
            if above or not is_map:
                yield ".".join(path), "" if is_map else json.dumps(default), " ".join(above)
        above = []


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def table() -> str:
    """Return the table as Markdown."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, default, meaning in rows():
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{path}` | {shown} | {meaning} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """Return the README with the table of now in its place."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
