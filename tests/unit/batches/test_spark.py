"""What Spark's engine says without Spark; with one, `tests/spark` holds it to the others."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from entresol.batches.plan import Plan, Running
from entresol.batches.spark import on_spark
from entresol.errors import FailedPreconditionError
from entresol.storage.analytics import Moment

NOW = datetime(2026, 1, 31, tzinfo=UTC)
PLAN = Plan(Moment("", "", "", 0, NOW, 1.0), ("",), "", "", "", "", (), 0, "")


async def test_what_is_not_installed_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    analytics: Any = None
    monkeypatch.setitem(sys.modules, "pyspark", None)
    running = Running(PLAN, analytics, lambda *_: None, "sc://localhost:1")
    with pytest.raises(FailedPreconditionError, match=r"install entresol\[spark\]"):
        await anext(on_spark(running))
