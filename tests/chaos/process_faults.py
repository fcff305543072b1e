"""What goes wrong with the platform's own processes."""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import asyncpg
from tests.chaos.ground import ROOT, SERVE, Ground
from tests.chaos.redis_faults import evict

from entresol.app import load_model
from entresol.config import Settings
from entresol.storage.catalog import read_catalog
from entresol.storage.plan import plan

SERVE_AMISS = ("-m", "tests.chaos.server")
LEASE_S = 0.5
NEW_FIELD = "  // What the user lives by.\n  string motto = 90 [(google.api.field_behavior) = OPTIONAL];\n"


async def kill_server(ground: Ground) -> None:
    """Kill a server at a random moment, and start it again."""
    name = ground.dice.choice(ground.server_names)
    async with ground.fault("kill server", name):
        await ground.kill(name)
        await ground.calm(0.0, 0.5)
        await ground.start_server(name)


async def kill_relay(ground: Ground) -> None:
    """Kill a relay, the one that works or the one that stands by; the other takes over."""
    name = ground.dice.choice(ground.relay_names)
    async with ground.fault("kill relay", name):
        await ground.kill(name)
        await ground.caught_up()
    await ground.start_relay(name)


async def start_those_that_crashed(ground: Ground) -> None:
    """Start the servers again that killed themselves between a commit and its put."""
    for name in ground.server_names:
        if await ground.processes.exit_code(name) is not None:
            async with ground.fault("crash before put", name):
                await ground.start_server(name)


async def pause(ground: Ground) -> None:
    """Stop a server or a process of clients where it stands, often for longer than its leases, and let it go on.

    What it was about to put waits with it, while others write the same and entries are evicted.
    """
    workers = [f"worker-{plan.number}" for plan in ground.plans]
    name = ground.dice.choice(ground.server_names + workers)
    async with ground.fault("pause", name):
        await ground.processes.signal(name, signal.SIGSTOP)
        await ground.calm(LEASE_S / 2, 5 * LEASE_S)
        await evict(ground)
        await ground.processes.signal(name, signal.SIGCONT)


async def skew(ground: Ground) -> None:
    """Let a server's clock jump."""
    name = ground.dice.choice(ground.server_names)
    async with ground.fault("clock jumps", name):
        await ground.processes.signal(name, signal.SIGUSR2)


async def roll(ground: Ground) -> None:
    """Restart the servers one by one with the other version of the schema: one field more, or one less."""
    newer = await _newer_protos(ground)
    version = ground.figures["schema_version"] = 3 - int(ground.figures.get("schema_version", 1))
    settings = {"ENTRESOL_PROTOS": str(newer)} if version == 2 else {}
    for name in ground.server_names:
        async with ground.fault("restart", name):
            await ground.kill(name, signal.SIGTERM)
            await ground.start_server(name, SERVE, **settings)
        await ground.calm(0.2, 1.0)


async def _newer_protos(ground: Ground) -> Path:
    """Return the descriptors with one field more; the first time, make them and their column."""
    path = ground.folder / "newer.binpb"
    if await asyncio.to_thread(path.exists):
        return path
    protos = ground.folder / "newer"
    await asyncio.to_thread(shutil.copytree, ROOT / "protos", protos)
    file = protos / "stories" / "v1" / "user.proto"
    text = await asyncio.to_thread(file.read_text)
    head, end, rest = text.partition("\n}\n")
    assert "message User {" in head, "the first message of the file is the user"
    await asyncio.to_thread(file.write_text, f"{head}\n{NEW_FIELD}{end[1:]}{rest}")
    model = await asyncio.to_thread(load_model, Settings(protos=str(protos)))
    connection = await asyncpg.connect(ground.servers.write_url)
    try:
        for statement in plan(model, await read_catalog(connection)).statements:
            await connection.execute(statement.sql)
    finally:
        await connection.close()
    await asyncio.to_thread(path.write_bytes, model.descriptor_set)
    return path
