"""Every resource of the reference domain does what the standard methods promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.testing.conformance import Case, cases
from entresol.testing.running import RunningPlatform

MODEL = load(compile_protos(Path(__file__).resolve().parents[3] / "protos"))


@pytest.mark.parametrize("case", cases(MODEL), ids=str)
def test_conformance(case: Case, stories: RunningPlatform) -> None:
    case.run(stories.address)
