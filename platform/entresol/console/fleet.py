"""The console of a supervisor: what it knows of its workers it shows itself, all else the first of them answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from prometheus_client.core import Metric as Family

from entresol.config import Settings
from entresol.console.access import Guard
from entresol.console.console import Console
from entresol.console.page import PREFIX
from entresol.console.topology import Overview
from entresol.life import Facts, Life
from entresol.transport.admin.answers import plain
from entresol.transport.admin.fleet import Member, ask, families_of_all, surroundings_of_all
from entresol.transport.admin.pages import surroundings
from entresol.transport.web.exchange import Request, Response

Members = Callable[[], Sequence[Member]]


def fleet_console(
    settings: Settings, life: Life, members: Members
) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers the console's requests.

    Raises:
        ConfigurationError: of the setting.
    """
    overview = Overview(_Fleet(life, members)).pages()
    own = Console(overview, settings, life.role)
    guard = Guard(settings)
    paths = {f"{PREFIX}{page.path}" for page in overview}

    async def answer(request: Request) -> Response:
        if request.path in paths or request.path.startswith(f"{PREFIX}/static/") or request.path == PREFIX:
            return await own.answer(request)
        refusal = guard.refusal(request) or (guard.origin_refusal(request) if request.method != "GET" else "")
        if refusal:
            return plain(403, f"{refusal}\n")
        present = members()
        # A form's token is that of the worker that made it: so it is always the first, and not each in turn.
        told = None if not present else await ask(present[0], _addressed(request, present[0]))
        return plain(503, "no worker answers\n") if told is None else told

    return answer


class _Fleet:
    """The supervisor and its workers."""

    def __init__(self, life: Life, members: Members) -> None:
        self._life = life
        self._members = members

    async def processes(self) -> Sequence[Facts]:
        """Return the supervisor, then its workers."""
        return [surroundings(self._life), *await surroundings_of_all(self._members())]

    async def families(self) -> Iterable[Family]:
        """Return what all workers have counted."""
        return await families_of_all(self._members())


def _addressed(request: Request, member: Member) -> Request:
    """Return a request that was seen to come from here as one to the worker, which listens to no other name."""
    headers = dict(request.headers)
    if "origin" in headers:
        headers["origin"] = f"http://{member.address}"
    headers.pop("transfer-encoding", None)
    return replace(request, headers=headers)
