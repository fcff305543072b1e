from __future__ import annotations
import os
import pytest
from tests.consistency import test_histories as th
from tests.integration.cache.stage import without
from contextlib import asynccontextmanager
th.SECONDS=float(os.environ.get('SOAK','20'))
RULES=os.environ.get('RULES','')
@pytest.mark.parametrize("seed", [int(x) for x in os.environ.get('SEEDS','1 2 3').split()])
@pytest.mark.timeout(300)
async def test_soak(seed, open_stage):
    def op(scripts=None):
        s=None
        if RULES:
            s=without(RULES)
        return open_stage(s)
    await th.test_when_writes_stop_every_entry_is_its_row(seed, op)
