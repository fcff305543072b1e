"""What is wrong with a batch is told at start, with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from entresol.codegen.protos import compile_protos
from entresol.errors import ConfigurationError
from entresol.schema.load import examine
from entresol.service.batch_checks import check_batches
from entresol.service.registry import Registry

PROTOS = Path(__file__).resolve().parents[3] / "protos"
WELL: dict[str, Any] = {
    "method": "stories.v1.ReferrerService.CountReferrers",
    "source": "stories.v1.Click",
    "window": "create_time",
    "map": "SELECT 1",
    "reduce": "SELECT 1",
    "result": "stories.v1.Referrer",
    "scope": "days/{key}",
}


@pytest.fixture(scope="module")
def descriptors() -> bytes:
    return compile_protos(PROTOS)


def mistakes(descriptors: bytes, **changes: Any) -> list[str]:
    model, report = examine(descriptors)
    registry = Registry()
    registry.batch("counts", **{**WELL, **changes})
    check_batches(model, registry, report)
    assert all(mistake.file.endswith("test_batch_checks.py") for mistake in report.mistakes)
    return [f"{mistake.problem}; {mistake.remedy}" for mistake in report.mistakes]


def test_what_fits_is_no_mistake(descriptors: bytes) -> None:
    assert mistakes(descriptors) == []
    assert mistakes(descriptors, source="other.table", window="", scope="") == []
    assert mistakes(descriptors, map=len, reduce=max, engine="python") == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source": "stories.v1.Clack"}, "reads stories.v1.Clack, which is no resource"),
        ({"columns": ["refferrer"]}, "reads refferrer, which a click does not store"),
        ({"window": "referrer"}, "has the window referrer"),
        ({"result": "stories.v1.Reader"}, "makes stories.v1.Reader, which is no resource"),
        ({"result": "stories.v1.Story", "scope": ""}, "makes stories, whose deletion is soft"),
        ({"scope": "weeks/{key}"}, "replaces weeks/{key}, no parent of a referrer"),
        ({"reduce": max}, "has a text and a function"),
        ({"map": len, "reduce": max, "engine": "sql"}, "cannot run on 'sql'"),
        ({"engine": "hadoop"}, "cannot run on 'hadoop'"),
        ({"zone": "Europe/Nowhere"}, "has the zone 'Europe/Nowhere'"),
        ({"days": 0}, "reads 0 days"),
        ({"window": "", "days": 7}, "reads 7 days"),
    ],
)
def test_what_does_not_fit_is_told(descriptors: bytes, changes: dict[str, Any], says: str) -> None:
    assert any(mistake.startswith(says) for mistake in mistakes(descriptors, **changes))


def test_a_name_and_a_method_are_one_batch_s() -> None:
    registry = Registry()
    registry.batch("counts", **WELL)
    with pytest.raises(ConfigurationError, match="two batches counts"):
        registry.batch("counts", **WELL)
    with pytest.raises(ConfigurationError, match="has two jobs"):
        registry.batch("others", **WELL)
