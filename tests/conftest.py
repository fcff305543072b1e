"""Real servers for every test that asks for them: see README.md for the fixtures.

Hypothesis draws the same examples every time, so that a run can be trusted and repeated; `HYPOTHESIS_PROFILE=random`
draws new ones, which is how examples worth keeping are found. No example has a time to keep: a shared machine stands
still for longer than any of them takes, and a run that depends on that cannot be trusted.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("random", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# A shell's background job ignores SIGINT, and so would everything it starts: the tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["entresol.testing.plugin"]


def pytest_xdist_auto_num_workers() -> int:
    """Return half as many again as there are cores: much of a test is waiting for what it broke to be back."""
    cores = len(os.sched_getaffinity(0))
    return cores + (cores + 1) // 2


@pytest.fixture(autouse=True)
def no_data_outlive_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove the data of servers that were started in a test's folder, where only a link to them may be."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    for link in [] if folder is None else folder.rglob("servers"):
        if link.is_symlink():
            shutil.rmtree(link.resolve(), ignore_errors=True)
