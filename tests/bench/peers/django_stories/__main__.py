"""The same service as REST on Django: REST framework, its ORM cached by cacheops, on gunicorn's threads.

cacheops has no jitter for the time that an entry lives; all else is as for the other peers.
"""

from __future__ import annotations

import os
import sys

from tests.bench.peers.flags import Flags, parser
from tests.bench.peers.rest import KEEP_ALIVE_S

if __name__ == "__main__":
    flags = Flags.of(parser(__doc__).parse_args())
    flags.to_environment()
    options = {
        "--bind": flags.listen,
        "--workers": "1",
        "--worker-class": "gthread",
        "--threads": "4",
        "--keep-alive": str(KEEP_ALIVE_S),
    }
    words = (word for option in options.items() for word in option)
    application = "tests.bench.peers.django_stories.wsgi:application"
    command = (sys.executable, "-m", "gunicorn", "--no-control-socket", *words, application)
    os.execv(sys.executable, command)  # noqa: S606 - gunicorn in place of this process, with its id
