"""What runs, and how well the cache does: the processes with their stores, and the consistency of what they answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client.core import Metric as Family

from entresol.collection import collected
from entresol.console.figures import (
    FAILURES,
    LISTS,
    OPERATION,
    READS,
    REASON,
    RESOURCE,
    WRITES,
    Recent,
    calls_by_method,
    reads,
    reads_by_resource,
    samples_of,
    sums,
)
from entresol.console.page import Ask, Page, View
from entresol.errors import Code
from entresol.exposition import families_of
from entresol.life import Facts, Life
from entresol.transport.admin.pages import surroundings


class Source(Protocol):
    """Who knows of the processes that are shown."""

    async def processes(self) -> Sequence[Facts]:
        """Return what each process is, and what it knows."""

    async def families(self) -> Iterable[Family]:
        """Return what their instruments have counted."""


class Own:
    """The process that shows the page."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def processes(self) -> Sequence[Facts]:
        """Return this one."""
        return [surroundings(self._life)]

    async def families(self) -> Iterable[Family]:
        """Return what it has counted; what is observed is asked in this thread."""
        data = collected()
        return await asyncio.to_thread(families_of, data)


class Overview:
    """The pages of the whole."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._recent = Recent()

    def pages(self) -> list[Page]:
        """Return them."""
        return [Page("GET", "/", self._topology), Page("GET", "/consistency", self._consistency)]

    async def _topology(self, _ask: Ask) -> View:
        processes, families = await asyncio.gather(self._source.processes(), self._source.families())
        samples = samples_of(families)
        counts = sums(samples, READS, REASON)
        change, window_s = self._recent.change(counts)
        values = {
            "processes": [_process(one) for one in processes],
            "reads": reads(counts),
            "recent": reads(change),
            "window_s": window_s,
            "calls": calls_by_method(samples),
            "code_name": lambda number: Code(int(number)).name if int(number) in set(Code) else number,
        }
        return View("topology.html", values)

    async def _consistency(self, _ask: Ask) -> View:
        samples = samples_of(await self._source.families())
        values = {
            "resources": reads_by_resource(samples),
            "lists": _by_first(sums(samples, LISTS, RESOURCE, REASON)),
            "writes": _by_first(sums(samples, WRITES, OPERATION, REASON)),
            "failures": sorted(sums(samples, FAILURES, REASON).items(), key=lambda item: -item[1]),
        }
        return View("consistency.html", values)


def _process(told: Facts) -> dict[str, Any]:
    """Return a process with all its parts, where some may be missing: a supervisor has no stores."""
    found: dict[str, Any] = {
        name: [] for name in ("database", "cache", "copies", "relay", "transport", "worker")
    }
    found.update(told)
    found["servers"] = _merged(server for database in found["database"] for server in database["servers"])
    found["caches"] = list(
        {one["address"]: one for cache in found["cache"] for one in cache["servers"]}.values()
    )
    return found


def _merged(servers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each server once, with the connections of all parts of the process that have some to it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for server in servers:
        known = found.setdefault((server["role"], server["address"]), {**server, "pools": {}})
        known["live"] = known["live"] and server["live"]
        for name, pool in server["pools"].items():
            before = known["pools"].get(name, {})
            known["pools"][name] = {key: value + before.get(key, 0) for key, value in pool.items()}
    return list(found.values())


def _by_first(counts: Counter[tuple[str, ...]]) -> dict[str, list[tuple[str, int]]]:
    """Return counts by the first part of their keys, the largest first."""
    found: dict[str, list[tuple[str, int]]] = {}
    for (first, second), number in counts.most_common():
        found.setdefault(first, []).append((second, number))
    return dict(sorted(found.items()))
