"""What clients do: sessions that write and read users at every level, and note all that they saw.

A user's `display_name` is the value, a number that grows with each write. Most keys have one writer, so that what a
reader must see at least is known for sure; some have many.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.chaos.calls import RefusedError, Server
from tests.consistency.checks.operation import Operation

from entresol.errors import Code
from entresol.schema.model import Model
from entresol.service.call import ANSWERED_BY_KEY, CONSISTENCY_KEY, SESSION_KEY

SERVICE = "/stories.v1.UserService"
CALL_S = 5.0
HURRIED_S = 0.005  # in the mean
KEYS_PER_SESSION = 3  # the last of them is also deleted
LEVELS = ("SESSION", "BOUNDED", "EVENTUAL", "STRONG")
LEVEL_WEIGHTS = (40, 35, 15, 10)
WRITE, DELETE = 0.16, 0.03
READ_OWN = 0.45  # of the reads of keys with one writer
SHARED_STRIDE = 10_000  # writers of one key count in steps of this, from numbers of their own


@dataclass(frozen=True, slots=True)
class Crowd:
    """Every client of a scenario, by which all know each other's keys."""

    workers: int
    sessions: int  # of each worker, at most
    shared: int  # keys that all write
    extra: tuple[str, ...] = ()  # keys that others write, such as psql
    busy: float = 0.25  # share of reads that go to keys of many writers and of others
    contention: float = 0.03  # share of all that sessions do that are writes of keys of many writers
    hurried: float = 0.0  # share of calls that are given up after some milliseconds

    def own(self, worker: int, session: int) -> list[str]:
        """Return the keys that one session alone writes."""
        return [f"users/w{worker}-{session}-{index}" for index in range(KEYS_PER_SESSION)]

    def every(self) -> list[str]:
        """Return all keys that one writer writes, or nobody here."""
        pairs = [(worker, session) for worker in range(self.workers) for session in range(self.sessions)]
        return [key for pair in pairs for key in self.own(*pair)] + list(self.extra)

    def common(self) -> list[str]:
        """Return the keys that all write."""
        return [f"users/shared-{number}" for number in range(self.shared)]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that was not answered: when, what it was, and how the refusal said so."""

    kind: str
    start_s: float
    end_s: float
    code: int
    reason: str
    retry_s: float | None
    text: str


class Requests:
    """The requests, serialized."""

    def __init__(self, model: Model, payload_bytes: int) -> None:
        self._methods = {path.rpartition("/")[2]: method for path, method in model.methods.items()}
        self._payload = "x" * payload_bytes

    def get(self, key: str) -> bytes:
        """Ask for a user."""
        return bytes(self._methods["GetUser"].input_class(name=key).SerializeToString())

    def update(self, key: str, value: int, *, missing: bool) -> bytes:
        """Give a user a value, and with `missing` create it if need be."""
        request: Any = self._methods["UpdateUser"].input_class(allow_missing=missing)
        request.user.name, request.user.display_name, request.user.about = key, str(value), self._payload
        request.update_mask.paths.extend(["display_name", "about"] if self._payload else ["display_name"])
        return bytes(request.SerializeToString())

    def delete(self, key: str) -> bytes:
        """Delete a user who may be gone."""
        return bytes(
            self._methods["DeleteUser"].input_class(name=key, allow_missing=True).SerializeToString()
        )

    def value(self, reply: bytes) -> int:
        """Return the value of the user in a reply."""
        user: Any = self._methods["GetUser"].output_class.FromString(reply)
        return int(user.display_name)


class Client:
    """One session: it does one thing after another, and carries the token it was given."""

    def __init__(
        self,
        name: str,
        servers: Sequence[Server],
        requests: Requests,
        dice: random.Random,
        note: Callable[[Operation], None],
        note_failure: Callable[[Failure], None],
        hurried: float = 0.0,
    ) -> None:
        self._name = name
        self._servers = servers
        self._requests = requests
        self._dice = dice
        self._note = note
        self._note_failure = note_failure
        self._hurried = hurried
        self._token = ""

    async def read(self, key: str, level: str) -> Operation:
        """Read a key; only SESSION says what it has seen."""
        # BOUNDED is what they get who ask for nothing, the quick way if there is one.
        metadata = {} if level == "BOUNDED" else {CONSISTENCY_KEY: level.lower()}
        if level == "SESSION" and self._token:
            metadata[SESSION_KEY] = self._token
        return await self._ask("GetUser", self._requests.get(key), metadata, Operation(
            self._name, key, "read", level, None, 0.0, 0.0, "failed", ""
        ))  # fmt: skip

    async def write(self, key: str, value: int, *, missing: bool) -> Operation:
        """Write a value."""
        request = self._requests.update(key, value, missing=missing)
        return await self._change("UpdateUser", request, key, "write", value)

    async def delete(self, key: str) -> Operation:
        """Delete a key."""
        return await self._change("DeleteUser", self._requests.delete(key), key, "delete", None)

    async def _change(self, method: str, request: bytes, key: str, kind: str, value: int | None) -> Operation:
        metadata = {SESSION_KEY: self._token} if self._token else {}
        about = Operation(self._name, key, kind, "SESSION", value, 0.0, 0.0, "unknown", "")
        return await self._ask(method, request, metadata, about)

    async def _ask(
        self, method: str, request: bytes, metadata: dict[str, str], about: Operation
    ) -> Operation:
        server = self._dice.choice(self._servers)
        value, outcome, source = about.value, "ok", ""
        start_s = time.monotonic()
        try:
            answer = await server.call(f"{SERVICE}/{method}", request, metadata, self._patience_s())
        except RefusedError as error:
            end_s = time.monotonic()
            if about.kind == "read" and error.code == Code.NOT_FOUND and error.reason:
                source = self._received(error.trailing) or "unsaid"
            else:
                outcome = "failed" if about.kind == "read" or error.is_definite else "unknown"
                self._note_failure(
                    Failure(about.kind, start_s, end_s, error.code, error.reason, error.retry_s, str(error))
                )
        else:
            end_s = time.monotonic()
            source = self._received(answer.trailing)
            if about.kind == "read":
                value = self._requests.value(answer.reply)
        operation = Operation(
            about.session, about.key, about.kind, about.level, value, start_s, end_s, outcome, source
        )
        self._note(operation)
        return operation

    def _patience_s(self) -> float:
        if self._hurried and self._dice.random() < self._hurried:
            return self._dice.expovariate(1 / HURRIED_S)
        return CALL_S

    def _received(self, trailing: Mapping[str, str]) -> str:
        """Keep the token, also of an answer that there is no such record, and return who answered."""
        self._token = trailing.get(SESSION_KEY, self._token)
        return trailing.get(ANSWERED_BY_KEY, "").partition(":")[0]


class Owned:
    """A key that one session alone writes. After a write in doubt it is given up: the write may come still."""

    def __init__(self, name: str, *, mortal: bool) -> None:
        self._first = name
        self._life = 0
        self.mortal = mortal
        self.name = name
        self.value = 0
        self.exists = False

    def note(self, operation: Operation) -> None:
        """Note what became of a write or delete."""
        if operation.outcome == "unknown":
            self._life += 1
            self.name, self.value, self.exists = f"{self._first}-{self._life}", 0, False
        elif operation.outcome == "ok":
            self.exists = operation.kind == "write"
        else:
            self.exists = False  # perhaps; then the next write asks


async def live(
    client: Client,
    crowd: Crowd,
    worker: int,
    session: int,
    dice: random.Random,
    pause_s: float,
    over: asyncio.Event,
) -> None:
    """Write and read until it is over, with pauses of random length, `pause_s` in the mean."""
    keys = crowd.own(worker, session)
    own = [Owned(key, mortal=key == keys[-1]) for key in keys]
    every, common = crowd.every(), crowd.common()
    busy = [*common, *crowd.extra]
    shared_value = worker * crowd.sessions + session
    for key in own:
        await _write(client, key)
    while not over.is_set():
        roll = dice.random()
        if roll < WRITE:
            await _write(client, dice.choice(own))
        elif roll < WRITE + DELETE:
            own[-1].value += 1
            own[-1].note(await client.delete(own[-1].name))
        elif roll < WRITE + DELETE + crowd.contention:
            shared_value += SHARED_STRIDE
            await client.write(dice.choice(common), shared_value, missing=True)
        else:
            await client.read(_target(dice, crowd, own, busy, every), dice.choices(LEVELS, LEVEL_WEIGHTS)[0])
        await asyncio.sleep(dice.expovariate(1 / pause_s))


async def _write(client: Client, key: Owned) -> None:
    key.value += 1
    key.note(await client.write(key.name, key.value, missing=key.mortal or not key.exists))


def _target(
    dice: random.Random, crowd: Crowd, own: Sequence[Owned], busy: Sequence[str], every: Sequence[str]
) -> str:
    if dice.random() < crowd.busy:
        return dice.choice(busy)
    if dice.random() < READ_OWN:
        return dice.choice(own).name
    return every[min(int(dice.expovariate(8 / len(every))), len(every) - 1)]  # some are much asked for
