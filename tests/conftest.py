"""Real servers for every test that asks for them: see README.md for the fixtures.

Hypothesis draws the same examples every time, so that a run can be trusted and repeated; `HYPOTHESIS_PROFILE=random`
draws new ones, which is how examples worth keeping are found.
"""

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("random", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

pytest_plugins = ["entresol.testing.plugin"]
