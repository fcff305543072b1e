"""Real servers for every test that asks for them: see README.md for the fixtures.

Hypothesis draws the same examples every time, so that a run can be trusted and repeated; `HYPOTHESIS_PROFILE=random`
draws new ones, which is how examples worth keeping are found. No example has a time to keep: a shared machine stands
still for longer than any of them takes, and a run that depends on that cannot be trusted.
"""

import os
import signal

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("random", print_blob=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# A shell's background job ignores SIGINT, and so would everything it starts: the tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["entresol.testing.plugin"]
