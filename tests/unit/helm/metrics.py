"""The metrics that the code has, by the names that Prometheus gives them, and those that queries ask for."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import promql_parser

from entresol import telemetry

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "platform" / "entresol"
_KINDS = {"create_observable_gauge": "gauge"}
_OURS = {
    "Counter": ("counter", ""),
    "Durations": ("histogram", "s"),
}  # by class: what it is; the name is second
_UNITS = {"s": "seconds", "By": "bytes"}
_INSTEAD = {"$__rate_interval": "5m"}  # of Grafana's own, for who parses
# Labels that are not the code's: of histograms, of who collects, and the state of a connection.
_OTHER_LABELS = {"le", "namespace", "pod", "state"}


@dataclass(frozen=True)
class Instrument:
    """An instrument as the code makes it."""

    name: str
    kind: str
    unit: str

    def series(self) -> set[str]:
        """Return what Prometheus calls it: dots are underscores, the unit is a word at the end, a counter a total."""
        name = re.sub(r"[^a-zA-Z0-9_:]", "_", self.name)
        unit = _UNITS.get(self.unit, "")
        if unit and not name.endswith(f"_{unit}"):
            name = f"{name}_{unit}"
        if self.kind == "histogram":
            return {f"{name}_{end}" for end in ("bucket", "count", "sum")}
        return {f"{name}_total" if self.kind == "counter" else name}


@functools.cache
def instruments() -> tuple[Instrument, ...]:
    """Return every instrument that the code makes, wherever it does."""
    return tuple(_made())


def _made() -> Iterator[Instrument]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            of_meter = node.args and isinstance(node.args[0], ast.Name) and node.args[0].id == "meter"
            if of_meter and isinstance(node.func, ast.Name) and node.func.id in _OURS:
                yield Instrument(_name(node.args[1]), *_OURS[node.func.id])
            made_of_a_name = node.args and isinstance(node.args[0], ast.Name)  # by one of those
            if isinstance(node.func, ast.Attribute) and node.func.attr in _KINDS and not made_of_a_name:
                units = [item.value for item in node.keywords if item.arg == "unit"]
                unit = units[0].value if units and isinstance(units[0], ast.Constant) else ""
                yield Instrument(_name(node.args[0]), _KINDS[node.func.attr], str(unit))


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):  # telemetry.RELAY_LAG
        return str(getattr(telemetry, node.attr))
    assert isinstance(node, ast.Constant), ast.dump(node)
    return str(node.value)


def labels() -> set[str]:
    """Return the labels that a metric may have."""
    texts = {value for name, value in vars(telemetry).items() if name.isupper() and isinstance(value, str)}
    return {text.replace(".", "_") for text in texts} | _OTHER_LABELS


@dataclass
class Query:
    """What a query asks for."""

    names: set[str]
    labels: set[str]


def parsed(text: str) -> Query:
    """Return what a query asks for; raises ValueError where it is none."""
    for short, instead in _INSTEAD.items():
        text = text.replace(short, instead)
    found = Query(set(), set())

    def visit(node: promql_parser.Expr) -> None:
        selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
        if isinstance(selector, promql_parser.VectorSelector):
            found.names.add(str(selector.name))
            found.labels.update(matcher.name for matcher in selector.matchers.matchers)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found.labels.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(text), pre_visit=visit)
    return found
