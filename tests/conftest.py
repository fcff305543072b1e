"""Real servers for every test that asks for them: see README.md for the fixtures.

Hypothesis draws the same examples every time, so that a run can be trusted and repeated; `HYPOTHESIS_PROFILE=random`
draws new ones, which is how examples worth keeping are found.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("random", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# A shell's background job ignores SIGINT, and so would everything it starts: the tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["entresol.testing.plugin"]
