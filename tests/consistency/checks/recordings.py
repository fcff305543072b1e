"""Reads recorded histories of other systems whose verdicts are known.

`jepsen/*.log` are register histories of etcd as Jepsen logs them, `kv/*.txt` key-value histories with a map in EDN for
each event. Times are line numbers.
"""

from __future__ import annotations

import ast
import csv
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.consistency.checks.linearizability import Call, Model
from tests.consistency.checks.models import STORE, register

LOGGED = re.compile(r"jepsen\.util - (?P<process>\d+)\s+:(?P<type>\w+)\s+:(?P<kind>\w+)\s+(?P<value>.*)")
MAPPED = re.compile(
    r'\{:process (?P<process>\d+), :type :(?P<type>\w+), :f :(?P<kind>\w+), :key "(?P<key>[^"]*)", '
    r':value (?P<value>nil|"[^"]*")\}'
)


@dataclass(frozen=True, slots=True)
class Recording:
    """A history, what it is one of, and whether it is known to be linearizable."""

    name: str
    calls: tuple[Call, ...]
    model: Model
    is_linearizable: bool


def recordings(folder: Path) -> Iterator[Recording]:
    """Yield the histories below `folder`: those that its `verdicts.csv` names, and `kv/*-ok.txt` and `kv/*-bad.txt`."""
    with (folder / "verdicts.csv").open(newline="") as verdicts:
        for row in csv.DictReader(verdicts):
            calls = read_log((folder / "jepsen" / row["log"]).read_text())
            yield Recording(row["log"], calls, register(), row["linearizable"] == "true")
    for path in sorted((folder / "kv").glob("*.txt")):
        yield Recording(path.name, read_maps(path.read_text()), STORE, path.stem.endswith("-ok"))


def read_log(text: str) -> tuple[Call, ...]:
    """Return the calls of a register's log. A failed compare-and-set has compared; a failed read is left out."""
    return tuple(_calls(LOGGED, text, "", {"cas": "compare_and_set"}))


def read_maps(text: str) -> tuple[Call, ...]:
    """Return the calls of a key-value history."""
    return tuple(_calls(MAPPED, text, None, {}))


def _calls(pattern: re.Pattern[str], text: str, key: str | None, kinds: Mapping[str, str]) -> Iterator[Call]:
    """Yield calls as they end, then those that never did, as the ones whose outcome is unknown."""
    invoked: dict[str, Call] = {}
    for number, line in enumerate(text.splitlines()):
        event = pattern.search(line)
        if event is None:
            raise ValueError(f"line {number + 1} is no event of this format: {line}")
        process, kind = event["process"], kinds.get(event["kind"], event["kind"])
        if event["type"] == "invoke":
            name = event["key"] if key is None else key
            invoked[process] = Call(name, kind, _value(event["value"]), None, number, None)
        elif event["type"] != "info":
            call = invoked.pop(process)
            if kind == "compare_and_set":
                yield Call(call.key, kind, call.argument, event["type"] == "ok", call.start, number)
            elif event["type"] == "ok":
                yield Call(call.key, kind, call.argument, _value(event["value"]), call.start, number)
    yield from invoked.values()


def _value(text: str) -> Hashable:
    if text == "nil":
        return None
    value = ast.literal_eval(text.replace(" ", ", ") if text.startswith("[") else text)
    return tuple(value) if isinstance(value, list) else value
