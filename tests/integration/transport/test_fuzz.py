"""A minute of what `make fuzz-transport` does for an hour."""

from __future__ import annotations

import pytest
from tests.integration.transport.fuzz import fuzz

SECONDS = 60.0


@pytest.mark.timeout(SECONDS + 60)
def test_connections_drawn_at_random_do_no_harm() -> None:
    found = fuzz(SECONDS, seed=20261122)
    assert found["wrong"] == []
    assert found["answered"] > 100
