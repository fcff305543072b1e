"""The pages of several workers on one port, for probes and collectors that know one process: each is asked, in turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from entresol.config import Settings
from entresol.exposition import encode, joined, labelled
from entresol.life import Facts, Life, Phase
from entresol.transport.admin.answers import as_json, as_lines, plain
from entresol.transport.admin.configz import configuration
from entresol.transport.admin.pages import readiness, surroundings
from entresol.transport.web.exchange import Answer, Request, Response

_PATIENCE_S = 2.0
_OF_CONNECTION = ("content-length", "connection", "keep-alive", "date")
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True, slots=True)
class Member:
    """A worker that has begun to answer, and where."""

    number: int
    address: str


Members = Callable[[], Sequence[Member]]


def fleet_pages(
    life: Life, settings: Settings, members: Members
) -> Mapping[str, Callable[[Request], Answer]]:
    """Return the pages of who supervises `members`, by their paths."""

    async def livez(_: Request) -> Response:
        # A worker that began to answer and does no more is stuck, and so is this server.
        silent = [one.number for one, told in await _ask_all(members(), "/livez") if told is None]
        if silent:
            return plain(503, f"no answer from worker {', '.join(map(str, silent))}\n")
        return plain(200, "ok\n")

    async def readyz(_: Request) -> Response:
        # One worker that is ready has the port: those that are not do not listen, or are on their way out.
        if life.phase is Phase.DRAINING:
            return readiness(life)
        told = [one for _, one in await _ask_all(members(), "/readyz") if one is not None]
        if life.phase is Phase.READY and (ready := [one for one in told if one.status == 200]):
            return ready[0]
        waiting = [one for one in told if one.status != 200] or [as_lines([{"phase": life.phase}])]
        return replace(waiting[0], status=503)

    async def metrics(request: Request) -> Response:
        families, accept = await families_of_all(members()), request.headers.get("accept", "")
        body, content_type = await asyncio.to_thread(encode, families, accept)
        return Response(200, [("content-type", content_type)], body)

    async def topology(_: Request) -> Response:
        return as_json({"processes": [surroundings(life), *await surroundings_of_all(members())]})

    return {
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics,
        "/configz": lambda _: as_json(configuration(settings)),
        "/topology": topology,
    }


async def families_of_all(members: Sequence[Member]) -> Sequence[Family]:
    """Return what all have counted, each sample with the number of its worker."""
    told = await _ask_all(members, "/metrics")

    def families() -> Sequence[Family]:
        groups = (
            labelled(_families(answer), {"worker": str(one.number)})
            for one, answer in told
            if answer is not None
        )
        return joined(groups)

    return await asyncio.to_thread(families)


async def surroundings_of_all(members: Sequence[Member]) -> Sequence[Facts]:
    """Return what each is, and what it knows."""
    told = await _ask_all(members, "/topology")
    return [process for _, one in told if one is not None for process in json.loads(_text(one))["processes"]]


def _families(response: Response) -> Iterable[Family]:
    found: Iterable[Family] = text_string_to_metric_families(_text(response))  # type: ignore[no-untyped-call]  # it has none
    return found


def _text(response: Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


async def _ask_all(members: Sequence[Member], path: str) -> list[tuple[Member, Response | None]]:
    """Return what each answers; None of one that does not."""
    request = Request("GET", path, "", {"accept": _OPENMETRICS})
    answers = await asyncio.gather(*(ask(one, request) for one in members))
    return list(zip(members, answers, strict=True))


async def ask(member: Member, request: Request) -> Response | None:
    """Return what a worker answers to a request; None where it does not."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await _asked(member.address, request)
    except (OSError, TimeoutError, EOFError, ValueError):
        return None


async def _asked(address: str, request: Request) -> Response:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    with closing(writer):
        target = f"{request.path}?{request.query}" if request.query else request.path
        headers = {
            **request.headers,
            "host": address,
            "connection": "close",
            "content-length": str(len(request.body)),
        }
        lines = [
            f"{request.method} {target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + request.body)
        status, *told = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in told)]
        body = await reader.readexactly(int(dict(pairs)["content-length"]))
    kept = [(name, value) for name, value in pairs if name not in _OF_CONNECTION]
    return Response(int(status.split()[1]), kept, body)
