"""HAProxy before the servers of a fleet, with the configuration that `entresol topology` writes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from tests.bench.processes import BenchError, free_address, started
from tests.bench.trial import Ground
from tests.debian import PackageMissingError
from tests.haproxy import haproxy

from entresol.app import load_model
from entresol.config import Settings
from entresol.topology import Listen, Platforms, Topology, configuration, endpoints


@contextlib.asynccontextmanager
async def balanced(
    addresses: Sequence[str], environment: Mapping[str, str], ground: Ground
) -> AsyncIterator[str]:
    """Run a balancer for the length of the block, and give the address where it answers."""
    try:
        program = haproxy()
    except PackageMissingError as error:
        raise BenchError(str(error)) from error
    listen = Listen(free_address(), free_address(), free_address(), free_address())
    topology = Topology(Platforms(endpoints(",".join(addresses))), listen=listen)
    path = ground.folder / f"haproxy-{len(addresses)}.cfg"
    path.write_text(configuration(topology, load_model(Settings.load(environment))))
    log = path.with_suffix(".log")
    async with started((str(program), "-db", "-f", str(path)), {}, log, ground.cores.others):
        yield listen.platform
