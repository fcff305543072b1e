"""What goes wrong with the platform's own processes."""

from __future__ import annotations

from tests.chaos.ground import Ground


async def kill_server(ground: Ground) -> None:
    """Kill servers at random moments, and start them again."""
    while not ground.is_over():
        await ground.calm(0.2, 1.5)
        name = ground.dice.choice(ground.server_names)
        async with ground.fault("kill server", name):
            await ground.kill(name)
            await ground.calm(0.0, 0.5)
            await ground.start_server(name)


async def kill_relay(ground: Ground) -> None:
    """Kill relays, the one that works or the one that stands by; the other takes over."""
    while not ground.is_over():
        await ground.calm(0.5, 2.0)
        name = ground.dice.choice(ground.relay_names)
        async with ground.fault("kill relay", name):
            await ground.kill(name)
            await ground.caught_up()
        await ground.start_relay(name)
