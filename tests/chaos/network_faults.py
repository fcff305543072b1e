"""What goes wrong between a process and a store while both are well."""

from __future__ import annotations

from tests.chaos.ground import Ground


async def cut(ground: Ground) -> None:
    """Break the connections of one process to one store."""
    pair, link = ground.dice.choice(list(ground.network.links.items()))
    async with ground.fault("cut", " - ".join(pair)):
        link.cut()


async def refuse(ground: Ground) -> None:
    """Let one process not reach one store."""
    pair, link = ground.dice.choice(list(ground.network.links.items()))
    async with ground.fault("refuse", " - ".join(pair)):
        link.refuse()
        await ground.calm(0.2, 3.0)
        link.heal()


async def slow(ground: Ground) -> None:
    """Let everything between one process and one store take longer."""
    pair, link = ground.dice.choice(list(ground.network.links.items()))
    async with ground.fault("slow", " - ".join(pair)):
        link.delay_s = ground.dice.uniform(0.01, 0.3)
        await ground.calm(0.5, 3.0)
        link.heal()


async def slow_databases(ground: Ground) -> None:
    """Let everything between readers and database servers take longer, from now on: the relay is quicker than they."""
    async with ground.fault("slow databases", "all"):
        for (process, store), link in ground.network.links.items():
            if store != "redis" and process not in ground.relay_names:
                link.delay_s = ground.dice.uniform(0.02, 0.1)


async def silence(ground: Ground) -> None:
    """Let nothing through between one process and one store, with connections open as if all were well."""
    pair, link = ground.dice.choice(list(ground.network.links.items()))
    async with ground.fault("silence", " - ".join(pair)):
        link.silence()
        await ground.calm(0.2, 4.0)
        link.heal()
