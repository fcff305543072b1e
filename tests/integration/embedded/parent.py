"""A parent of servers for test_lifetime.py: starts them, says what runs, and waits to be ended.

Arguments: a folder or "", and "fork" to leave behind a child that holds every open file of the parent.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from entresol.embedded import EmbeddedServers


async def main() -> None:
    folder = Path(sys.argv[1]) if sys.argv[1] else None
    async with await EmbeddedServers.start(folder, replicas=1, durable=True) as servers:
        await servers.psql("CREATE TABLE IF NOT EXISTS kept (number int); INSERT INTO kept VALUES (1)")
        await servers.settle()
        fork = os.fork() if "fork" in sys.argv else 0
        if "fork" in sys.argv and fork == 0:
            signal.pause()
        temporary = [servers.primary.sockets.parent] + (
            [servers.primary.data.parent] if folder is None else []
        )
        print(fork, *temporary, flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
