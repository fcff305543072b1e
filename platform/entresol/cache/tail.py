"""Follows what the relay tells of its changes, for the near cache; when it cannot, the near cache is empty."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

from entresol import telemetry
from entresol.cache.connection import Connection
from entresol.cache.connections import open_connection
from entresol.cache.failure import CacheError
from entresol.cache.near import Near, Record
from entresol.cache.wire import Reply
from entresol.config import Settings

log = logging.getLogger(__name__)

RECORDS_MAX = 128  # in one reply
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 1.0
_START = b"0-0"


class Tail:
    """Reads the streams of all partitions over a connection of its own, which blocks until one has something new."""

    def __init__(self, connection: Connection, near: Near) -> None:
        self._connection = connection
        self._near = near
        layout = near.layout
        self._partitions = {layout.stream(partition): partition for partition in range(layout.partitions)}
        self._is_silent = True
        self._pause_s = PAUSE_S_MIN

    @classmethod
    def open(cls, settings: Settings, near: Near) -> Tail:
        """Return the tail of the cache that the settings name. Nothing connects before `run`."""
        timeout_s = near.silence_s_max + settings.cache_timeout_s
        return cls(open_connection(settings.cache_url, timeout_s=timeout_s), near)

    async def run(self) -> None:
        """Follow until cancelled. Every failure empties the near cache, is logged, counted, and tried again."""
        try:
            while True:
                try:
                    await self._follow()
                except Exception as error:
                    self._near.lose()
                    self._fail(error)
                await asyncio.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)
        finally:
            self._near.lose()
            await self._connection.close()

    async def _follow(self) -> None:
        """Read from the end of the streams until a connection fails."""
        parts = await self._connection.by_node([*self._partitions])
        tasks = [asyncio.create_task(self._read(connection, streams)) for connection, streams in parts]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        raise next(end for end in ends if isinstance(end, Exception))

    async def _read(self, connection: Connection, streams: Sequence[bytes]) -> None:
        """Read streams of one server for ever."""
        ends = await connection.execute(*(("XREVRANGE", stream, "+", "-", "COUNT", 1) for stream in streams))
        positions = {
            stream: last[0][0] if last else _START for stream, last in zip(streams, ends, strict=True)
        }
        block_ms = round(self._near.silence_s_max * 1000)
        while True:
            options = ("COUNT", RECORDS_MAX, "BLOCK", block_ms, "STREAMS")
            (told,) = await connection.execute(("XREAD", *options, *positions, *positions.values()))
            self._note(is_silent=not told)
            for stream, records in told or ():
                for position, fields in records:
                    self._near.hear(self._partitions[stream], _parse(fields))
                    positions[stream] = position

    def _fail(self, error: Exception) -> None:
        is_known = isinstance(error, CacheError)  # the connection has counted it
        if not is_known:
            telemetry.CACHE_FAILURES.add(1, {telemetry.REASON: "tail"})
        if not self._is_silent or not is_known:
            log.warning("the near cache is off, for now: %s", error, exc_info=not is_known)
        self._is_silent = True

    def _note(self, *, is_silent: bool) -> None:
        if is_silent == self._is_silent:
            return
        self._is_silent = is_silent
        if is_silent:
            telemetry.CACHE_FAILURES.add(1, {telemetry.REASON: "silence"})
            log.warning("the near cache is off: no word from the relay for %g s", self._near.silence_s_max)
        else:
            self._pause_s = PAUSE_S_MIN
            log.info("the near cache is on")


def _parse(fields: list[Reply]) -> Record:
    facts = dict(zip(fields[::2], fields[1::2], strict=True))
    changed = cast("bytes", facts[b"changed"])
    return Record(
        facts[b"g"], int(facts[b"n"]), int(facts[b"W"], 16), changed.split(b"\0") if changed else ()
    )
