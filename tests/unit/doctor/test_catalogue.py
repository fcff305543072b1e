"""The list of checks: every check is in it, and of a healthy fleet none of them has anything to say."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest
from tests.unit.doctor.made import facts

import entresol.doctor
from entresol.doctor.catalogue import CHECKS, chosen, findings, name_of, summary_of
from entresol.doctor.facts import Silent
from entresol.doctor.finding import Severity
from entresol.errors import InvalidArgumentError

FOLDER = Path(entresol.doctor.__file__).parent


def test_every_function_that_takes_facts_and_yields_findings_is_in_the_list() -> None:
    written = set()
    for path in FOLDER.glob("*.py"):
        module = (
            importlib.import_module(f"entresol.doctor.{path.stem}")
            if path.stem != "__init__"
            else entresol.doctor
        )
        for name, function in inspect.getmembers(module, inspect.isfunction):
            signature = inspect.signature(function)
            is_check = str(signature.return_annotation) == "Iterator[Finding]" and list(
                signature.parameters
            ) == ["facts"]
            if is_check and not name.startswith("_"):
                written.add(function)
    assert written == set(CHECKS)
    assert len({name_of(check) for check in CHECKS}) == len(CHECKS) == len(written)


def test_every_check_tells_what_it_looks_at() -> None:
    for check in CHECKS:
        assert summary_of(check).startswith("Look "), name_of(check)


def test_a_healthy_fleet_lacks_nothing() -> None:
    assert findings(facts(), CHECKS) == []


def test_checks_are_chosen_by_name_or_by_part() -> None:
    assert chosen([]) == list(CHECKS)
    assert [name_of(check) for check in chosen(["cache.eviction"])] == ["cache.eviction"]
    parts = chosen(["replicas", "queue.vacuum"])
    assert [name_of(check) for check in parts] == [
        "replicas.roles",
        "replicas.lag",
        "replicas.conflicts",
        "queue.vacuum",
    ]
    with pytest.raises(InvalidArgumentError, match="there is no check 'eviction'"):
        chosen(["cache", "eviction"])


def test_the_worst_comes_first_and_what_is_silent_stops_no_check() -> None:
    looked_at = facts(
        silent=[Silent("database two:5432", "refused")],
        settings={"deadline_default_s": 100.0, "cache_url": ""},
        caches=[],
    )
    severities = [finding.severity for _, finding in findings(looked_at, CHECKS)]
    assert severities == sorted(severities, key=list(Severity).index)
    assert set(severities) == set(Severity)
    bare = facts(caches=[])
    assert findings(bare, chosen(["cache"])) == []
