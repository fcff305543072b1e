"""The process of isolated jobs, which `entresol work` starts: `python -m entresol.cli.isolated SOCKET`."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from dataclasses import replace

from entresol.jobs.frames import Channel, Start
from entresol.jobs.isolated import end_with_parent, limit_memory

CONNECTIONS = 2  # to each server: a job's transaction, and what it reads or tells beside it


def main() -> None:
    """Make attempts until the worker is gone."""
    end_with_parent()
    channel = Channel(int(sys.argv[1]))
    start = channel.receive()
    if start is None:
        return
    limit_memory(start.settings.jobs_process_size_bytes_max)
    sys.path[:] = start.path
    from entresol import logs
    from entresol.cli.run import run

    logs.start(start.log_level, start.settings.log_format)
    run(_make_attempts(channel, start))


async def _make_attempts(channel: Channel, start: Start) -> None:
    from entresol import telemetry
    from entresol.app import load_served
    from entresol.cli.run import telemetry_of
    from entresol.clock import Clock
    from entresol.jobs.isolated import Isolated
    from entresol.service.jobs import kinds
    from entresol.service.registry import registry
    from entresol.stores import open_records

    settings = replace(
        start.settings,
        database_write_connections=CONNECTIONS,
        database_read_connections=CONNECTIONS,
        database_loads_max=CONNECTIONS,
    )
    model = load_served(settings)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(telemetry_of(settings, "entresol-worker"))
        telemetry.look()
        records = await stack.enter_async_context(open_records(settings, model))
        functions = {name: registry.jobs[name] for name in registry.isolated}
        await Isolated(channel, kinds(model, records, functions, Clock())).run()


if __name__ == "__main__":
    main()
