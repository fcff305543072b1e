"""Objects of operators, for the schemas that the operators come with; Kubernetes' own know nothing of them."""

from __future__ import annotations

import copy
import functools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.chart.tools import run
from tests.unit.helm.chart import VALUES, Object, rendered
from tests.unit.helm.rules import title

OPERATORS = Path(__file__).parent / "operators"
BREAKS: Mapping[str, Callable[[Any], object]] = {
    "PodMonitor": lambda spec: spec["podMetricsEndpoints"][0].update(interval=5),
    "PrometheusRule": lambda spec: spec["groups"][0]["rules"][0].pop("expr"),
    "ScaledObject": lambda spec: spec.update(minReplicaCount="none"),
    "ServiceMonitor": lambda spec: spec.pop("endpoints"),
}


@functools.cache
def objects() -> dict[str, Object]:
    """Return the operators' objects of every values file."""
    return {
        f"{values} {title(item)}": item
        for values in VALUES
        for item in rendered(values)
        if item["kind"] in BREAKS
    }


def validated(items: Mapping[str, Object]) -> list[str]:
    if shutil.which("node") is None or not (OPERATORS / "node_modules").exists():
        pytest.skip(
            "NOT CHECKED: the operators' schemas are missing; `make chart` installs them where there is npm"
        )
    found: list[str] = json.loads(run("node", str(OPERATORS / "validate.mjs"), given=json.dumps(items)))
    return found


def test_objects_of_operators_are_those_that_they_know() -> None:
    assert {item["kind"] for item in objects().values()} == BREAKS.keys()
    assert validated(objects()) == []


@pytest.mark.parametrize("kind", BREAKS)
def test_an_object_that_an_operator_would_refuse_is_found(kind: str) -> None:
    item = copy.deepcopy(next(item for item in objects().values() if item["kind"] == kind))
    BREAKS[kind](item["spec"])
    assert len(validated({kind: item})) == 1
