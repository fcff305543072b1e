"""`make fuzz-transport`: connections drawn at random, proper and broken, against a server process of its own.

What must hold: the process lives, every proper call is answered rightly, a proper client is served at any time, and
memory and open files come back to what they were. Prints one JSON document; the exit code is 1 when something did not
hold. The same seed draws the same connections.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import uvloop
from google.protobuf.message import DecodeError
from tests.integration.transport import peer as h2
from tests.integration.transport.peer import Peer, frame
from tests.integration.transport.wire import MODEL, SERVICE, Parcel, registry

from entresol.clock import Clock
from entresol.config import Settings
from entresol.records import Records
from entresol.service.table import build
from entresol.transport.http2 import Http2Server

CANARY_EVERY = 25  # connections
_PINGS_MAX = 500  # of a proper connection; a server may end one that sends 1,000 in a second
WARM = 300  # connections until memory is looked at
GROWTH_BYTES_MAX = 64 * 1024 * 1024
FILES_MORE_MAX = 20
PATHS = [f"/{SERVICE}/{name}" for name in ("Carry", "Repeat", "Collect", "Relay")]
CARRY = PATHS[0]


@dataclass
class Child:
    """The server's process."""

    process: subprocess.Popen[str]
    address: str
    log: Path

    @classmethod
    @contextlib.contextmanager
    def start(cls, folder: Path) -> Iterator[Child]:
        log = folder / "server.log"
        with log.open("w") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.transport.fuzz", "--serve"],
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
            )
            assert process.stdout is not None
            try:
                yield cls(process, f"127.0.0.1:{int(process.stdout.readline())}", log)
            finally:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(15)
                process.kill()
                process.stdout.close()

    @property
    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@dataclass
class Findings:
    """What was tried, and what did not hold."""

    connections: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    answered: int = 0
    wrong: list[str] = field(default_factory=list)

    def note(self, what: str, seed: int) -> None:
        if len(self.wrong) < 20:
            self.wrong.append(f"{what} (connection {seed})")


def proper(draw: random.Random, child: Child, findings: Findings, seed: int) -> None:
    """Make calls as RFC 9113 allows, in the oddest order and pieces, and check every answer."""
    window = draw.choice([0, 1, 100, 65_535, 1_000_000])
    with Peer(child.address, 10).greet([(4, window)]) as peer:
        peer.write(frame(h2.WINDOW_UPDATE, 0, 0, (1 << 24).to_bytes(4)))
        payloads = {
            stream: draw.randbytes(draw.choice([0, 1, 50, 5000, 20_000]))
            for stream in range(1, 2 * draw.randint(1, 20), 2)
        }
        reset: set[int] = set()
        for piece, stream, is_reset in _pieces(draw, payloads):
            peer.write(piece)
            if is_reset:
                reset.add(stream)
        for stream in payloads:
            peer.write(frame(h2.WINDOW_UPDATE, 0, stream, (1 << 22).to_bytes(4)))
        answers: dict[int, bytearray] = {stream: bytearray() for stream in payloads}
        waiting = set(payloads) - reset
        findings.calls += len(waiting)
        for item in peer.frames(5) if waiting else ():
            if item.kind == h2.DATA:
                answers[item.stream] += item.payload
            if item.kind == h2.GOAWAY:
                findings.note(f"a proper connection was ended: {item.payload!r}", seed)
                return
            if item.kind == h2.HEADERS and item.flags & h2.END_STREAM:
                waiting.discard(item.stream)
            if not waiting:
                break
        if waiting:
            findings.note(f"{len(waiting)} calls were not answered", seed)
        for stream in set(payloads) - reset - waiting:
            findings.answered += 1
            body = bytes(answers[stream])
            if Parcel.FromString(body[5:]).payload != payloads[stream]:
                findings.note("an answer was wrong", seed)


def _pieces(draw: random.Random, payloads: dict[int, bytes]) -> Iterator[tuple[bytes, int, bool]]:
    """Yield the frames of unary calls, mixed, each stream's in order; some streams are reset."""
    queues: dict[int, list[tuple[bytes, bool]]] = {}
    opened = list(payloads)
    for stream, payload in payloads.items():
        message = Parcel(payload=payload).SerializeToString()
        body = b"\x00" + len(message).to_bytes(4) + message
        parts = [
            body[at : at + size] for size in [draw.randint(1, 16_384)] for at in range(0, len(body), size)
        ]
        frames = [(frame(h2.DATA, 0, stream, part), False) for part in parts]
        if draw.random() < 0.5:
            frames.append((frame(h2.DATA, h2.END_STREAM, stream), False))
        else:
            frames[-1] = (frame(h2.DATA, h2.END_STREAM, stream, parts[-1]), False)
        if draw.random() < 0.1:
            frames[draw.randrange(len(frames))] = (frame(h2.RST_STREAM, 0, stream, bytes(4)), True)
        queues[stream] = frames
    live: list[int] = []
    pings = 0
    while opened or live:
        roll = draw.random()
        if roll < 0.05 and pings < _PINGS_MAX:
            pings += 1
            yield frame(h2.PING, 0, 0, draw.randbytes(8)), 0, False
        elif roll < 0.1:
            yield frame(h2.PRIORITY, 0, draw.randint(1, 99) * 2 + 101, bytes(5)), 0, False
        elif opened and (not live or roll < 0.4):
            stream = opened.pop(0)
            live.append(stream)
            yield _head(draw, stream), stream, False
        else:
            stream = draw.choice(live)
            piece, is_reset = queues[stream].pop(0)
            if is_reset or not queues[stream]:
                live.remove(stream)
            yield piece, stream, is_reset


def _head(draw: random.Random, stream: int) -> bytes:
    block = h2.block(h2.request(CARRY, [(b"x-%d" % stream, draw.randbytes(8).hex().encode())]))
    cut = draw.randint(1, len(block) - 1)
    if draw.random() < 0.3:
        return frame(h2.HEADERS, 0, stream, block[:cut]) + frame(
            h2.CONTINUATION, h2.END_HEADERS, stream, block[cut:]
        )
    return frame(h2.HEADERS, h2.END_HEADERS, stream, block)


def broken(draw: random.Random, child: Child, _findings: Findings, _seed: int) -> None:
    """Damage a proper conversation somewhere."""
    message = Parcel(payload=draw.randbytes(100), count=draw.randint(0, 5)).SerializeToString()
    data = bytearray(h2.PREFACE + frame(h2.SETTINGS, 0, 0))
    for stream in range(1, 2 * draw.randint(1, 10), 2):
        data += h2.call(stream, draw.choice(PATHS), message)
    for _ in range(draw.randint(1, 10)):
        at = draw.randrange(len(data))
        match draw.randrange(4):
            case 0:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at : at + draw.randint(1, 40)]
            case 2:
                data[at:at] = draw.randbytes(draw.randint(1, 40))
            case _:
                data[at:at] = data[max(0, at - draw.randint(1, 200)) : at]
    _say(child, bytes(data), draw)


def frames(draw: random.Random, child: Child, _findings: Findings, _seed: int) -> None:
    """Send frames of any kind, with any flags and content."""
    data = h2.PREFACE + frame(h2.SETTINGS, 0, 0)
    for _ in range(draw.randint(1, 40)):
        size = draw.choice([0, 1, 4, 5, 6, 8, 9, 17, 100, 5000])
        data += frame(
            draw.randrange(12), draw.randrange(256), draw.choice([0, 1, 1, 3, 5, 7]), draw.randbytes(size)
        )
    _say(child, data, draw)


def messages(draw: random.Random, child: Child, _findings: Findings, _seed: int) -> None:
    """Frame HTTP/2 properly, and gRPC in any way."""
    extra = [
        (b"grpc-timeout", draw.choice([b"1S", b"0n", b"", b"x", b"99999999H", b"-1S", b"10m"])),
        (b"grpc-encoding", draw.choice([b"gzip", b"identity", b"deflate", b""])),
        (b"x-bin", draw.randbytes(6).hex().encode()),
    ]
    chosen = draw.sample(extra, draw.randint(0, 3))
    data = h2.PREFACE + frame(h2.SETTINGS, 0, 0)
    for stream in range(1, 2 * draw.randint(1, 8), 2):
        data += frame(h2.HEADERS, h2.END_HEADERS, stream, h2.block(h2.request(draw.choice(PATHS), chosen)))
        for _ in range(draw.randint(0, 4)):
            body = (
                bytes((draw.randrange(3),)) + draw.choice([0, 1, 10, 2**31]).to_bytes(4) + draw.randbytes(10)
            )
            data += frame(h2.DATA, draw.randrange(2), stream, body)
    _say(child, data, draw)


def _say(child: Child, data: bytes, draw: random.Random) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError), Peer(child.address, 5) as peer:
        at = 0
        while at < len(data):
            size = draw.choice([1, 9, 100, 100_000])
            peer.write(data[at : at + size])
            at += size
        for _ in zip(range(50), peer.frames(0.02), strict=False):
            pass


def canary(child: Child) -> bool:
    """Tell whether a proper client is served."""
    with grpc.insecure_channel(child.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        reply = channel.unary_unary(CARRY)(Parcel(payload=b"canary").SerializeToString(), timeout=10)
    return bool(Parcel.FromString(reply).payload == b"canary")


def fuzz(seconds: float, seed: int) -> dict[str, Any]:
    """Try for so long and return what was found."""
    kinds = (proper, broken, frames, messages)
    findings, number, until = Findings(), 0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder, Child.start(Path(folder)) as child:
        canary(child)
        resident, files = child.resident_bytes, child.files
        while time.monotonic() < until and child.process.poll() is None:
            number += 1
            draw = random.Random(seed * 1_000_003 + number)
            kind = draw.choice(kinds)
            findings.connections[kind.__name__] += 1
            try:
                kind(draw, child, findings, number)
                if number % CANARY_EVERY == 0 and not canary(child):
                    findings.note("a proper client was answered wrongly", number)
            except (OSError, grpc.RpcError, AssertionError) as error:
                findings.note(f"{kind.__name__}: {error!r}", number)
            if number == WARM:
                resident, files = child.resident_bytes, child.files
        if child.process.poll() is not None:
            findings.note(f"the server ended with {child.process.returncode}", number)
        else:
            time.sleep(2)
            canary(child)
            if child.resident_bytes - resident > GROWTH_BYTES_MAX:
                findings.note(f"memory grew from {resident} to {child.resident_bytes} bytes", number)
            if child.files - files > FILES_MORE_MAX:
                findings.note(f"open files grew from {files} to {child.files}", number)
            resident = child.resident_bytes - resident
        if log := child.log.read_text():
            findings.note(f"the server logged: {log[-2000:]}", number)
    return {
        "fuzz": "transport",
        "seed": seed,
        "seconds": seconds,
        "connections": dict(findings.connections),
        "calls_checked": findings.calls,
        "answered": findings.answered,
        "grown_bytes": resident,
        "wrong": findings.wrong,
    }


class Copies:
    """The quick way of Carry, without stores: it knows a third at once, a third in a moment, the rest not."""

    def look(self, request: bytes, _token: str, _begin: Any) -> Any:
        """Answer as `Quick.look` does."""
        try:
            parcel = Parcel.FromString(request)
        except DecodeError:
            return None
        if parcel.code or parcel.pause_s or parcel.size_bytes:
            return None
        reply = Parcel(payload=parcel.payload).SerializeToString()
        return (reply, Later(reply), None)[len(request) % 3]


@dataclass
class Later:
    """What the cache tells in a moment."""

    reply: bytes

    def ask(self, told: Callable[[bytes | None], None]) -> None:
        """Tell, and now and then that there is nothing."""
        known = self.reply if len(self.reply) % 2 else None
        asyncio.get_running_loop().call_later(0.001, told, known)


async def serve() -> None:
    """Serve until SIGTERM, with the protos of the conformance suite and no stores."""
    settings = Settings.load({}, listen="127.0.0.1:0", transport="http2", keepalive_s=5.0, drain_s=1.0)
    no_store: Any = None  # no method of this service reads or writes a record
    table = build(MODEL, Records(MODEL, no_store, None, settings), registry(Counter()), settings)
    table = {**table, CARRY: replace(table[CARRY], quick=Copies())}
    server = Http2Server(table, MODEL, settings, Clock())
    await server.start()
    print(server.port, flush=True)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await told.wait()
    await server.stop()


def main() -> int:
    """Fuzz, or serve what is fuzzed."""
    parser = argparse.ArgumentParser(prog="make fuzz-transport", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve())
        return 0
    found = fuzz(arguments.seconds, arguments.seed)
    print(json.dumps(found, indent=2))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
