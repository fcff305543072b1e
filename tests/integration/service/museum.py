"""The custom methods of the museum, which do what only a test would ask for, and its policy."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entresol.service.call import Call
from entresol.service.registry import Context, Registry

PROTOS = Path(__file__).parent / "protos"
SERVICE = "museum.v1.MuseumService"
ROLE = "role"
STRANGER = {ROLE: "stranger"}  # metadata of a caller who may do nothing


@dataclass
class Hold:
    """Keeps calls of HoldHall until it is told to let them go."""

    entered: threading.Event = field(default_factory=threading.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def let_go(self) -> None:
        self.gone.set()


def registry(hold: Hold | None = None) -> Registry:
    """Return the functions of a museum, whose policy refuses strangers."""
    functions = Registry()

    @functions.authorizer
    async def no_strangers(_request: Any, call: Call) -> bool:
        return call.metadata.get(ROLE) != "stranger"

    @functions.method(f"{SERVICE}.HoldHall")
    async def hold_hall(request: Any, context: Context) -> Any:
        if hold is not None:
            hold.entered.set()
            await hold.gone.wait()
        return await context.get("museum.v1.Hall", request.name)

    @functions.method(f"{SERVICE}.RenameHall")
    async def rename_hall(request: Any, context: Context) -> Any:
        async with context.transaction() as transaction:
            await transaction.execute(
                "UPDATE halls SET title = $2 WHERE name = $1", request.name, request.title
            )
        return context.new("museum.v1.Hall", name=request.name, title=request.title)

    @functions.method(f"{SERVICE}.BreakHall")
    async def break_hall(request: Any, _context: Context) -> Any:
        raise ValueError(f"the password of {request.name} is 12345")

    @functions.method(f"{SERVICE}.WatchHall")
    async def watch_hall(request: Any, context: Context) -> AsyncIterator[Any]:
        for _ in range(3):
            yield await context.get("museum.v1.Hall", request.name)

    return functions
