"""What a worker and the processes of isolated attempts tell each other: pickles behind their length, over a socket."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Any

from entresol.config import Settings

_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Start:
    """To a process that was started: what it works with. Then it is sent one `Claimed` after the other."""

    settings: Settings
    path: tuple[str, ...]  # where modules are found
    log_level: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The process takes attempts. `size_bytes`, here and below, is the memory that it has."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the attempt has told of itself."""

    percent: int
    step: str | None
    checkpoint: bytes | None


@dataclass(frozen=True, slots=True)
class Result:
    """The attempt succeeded."""

    data: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The attempt failed; another is made in `pause_s`, or none."""

    pause_s: float | None
    text: bytes
    size_bytes: int


Told = Ready | Report | Result | Failure


def encoded(frame: object) -> bytes:
    """Return what is sent of a frame."""
    data = pickle.dumps(frame)
    return _LENGTH.pack(len(data)) + data


async def received(reader: asyncio.StreamReader) -> Told:
    """Return the next frame of a process; raises EOFError when there is no more."""
    (size,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return pickle.loads(await reader.readexactly(size))  # type: ignore[no-any-return]  # noqa: S301 - of our own process


class Channel:
    """A process's end of the socket, of which each method blocks. Any thread may send."""

    def __init__(self, handle: int) -> None:
        self._socket = socket.socket(fileno=handle)
        self._socket.set_inheritable(False)
        self._file = self._socket.makefile("rb")
        self._lock = threading.Lock()

    def send(self, frame: Told) -> None:
        """Send a frame; raises OSError when the worker is gone."""
        with self._lock:
            self._socket.sendall(encoded(frame))

    def receive(self) -> Any:
        """Return the next frame; None when the worker is gone."""
        head = self._file.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        data = self._file.read(_LENGTH.unpack(head)[0])
        return pickle.loads(data)  # noqa: S301 - of our own worker
