"""A process that reads by xds:///: gRPC looks for its control plane once, where it starts.

`python -m tests.e2e.xds.caller TARGET NAME` prints `called` after each hundred reads, and when its input ends what came
of all.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter

from entresol_stories.v1 import UserServiceClient

from entresol_client import Connection, EntresolError


def main() -> None:
    """Call until the input ends."""
    target, name = sys.argv[1:]
    is_over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
    outcomes: Counter[str] = Counter()
    with Connection(target) as connection:
        users = UserServiceClient(connection)
        while not is_over.is_set():
            try:
                users.get_user(name)
                outcomes["OK"] += 1
            except EntresolError as error:
                outcomes[f"{type(error).__name__}: {error}"] += 1
            if outcomes.total() % 100 == 0:
                print("called", flush=True)
    print(json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    main()
