"""Platforms for single tests: protos and functions as `entresol serve` serves them, each over stores of its own."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import status_pb2

from entresol.app import load_model
from entresol.cache.session import Session
from entresol.cli.folders import migration_folders, system_folder
from entresol.config import Settings
from entresol.errors import InvalidArgumentError
from entresol.schema.model import Model
from entresol.service.call import ANSWERED_BY_KEY, SESSION_KEY
from entresol.service.status import CallFailedError
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_catalog
from entresol.storage.migrate import migrate
from entresol.storage.plan import plan
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate, run
from entresol.transport.caller import Caller, Metadata

_POLL_S = 0.02  # of replicas, relay and workers, so that no test waits for them
_WAIT = "google.longrunning.Operations/WaitOperation"


_MISSING = {
    False: "no worker runs; wait for it within `with platform.working():`",
    True: "it was not over in time; why an attempt failed is in the log",
}


class ServedPlatform:
    """A platform that serves while a test lasts, and a client of it that sees what it wrote, as clients do."""

    def __init__(self, running: RunningPlatform, database: Database, caller: Caller) -> None:
        self.running = running
        self.database = database
        self._caller = caller
        self._trailing: Mapping[str, str] = {}
        self._session: dict[str, str] = {}

    @property
    def address(self) -> str:
        """Return where it answers gRPC, as `host:port`; a channel or a generated client takes it."""
        return self.running.address

    @property
    def web_address(self) -> str:
        """Return where it answers REST, Connect and gRPC-Web, as `host:port`."""
        return self.running.web_address

    @property
    def answered_by(self) -> str:
        """Return who answered the last call that succeeded: `near`, `cache`, `replica:<address>` or `primary`."""
        return self._trailing.get(ANSWERED_BY_KEY, "")

    def call(self, method: str, metadata: Metadata | None = None, /, **fields: Any) -> Any:
        """Call `package.Service/Method`, which is no stream, and return its reply.

        Fields are messages, or written as JSON has them: a time is text, and so is a mask, `title,post_time`.

        Raises:
            CallFailedError: the server answered with an error; its `code` says which.
            InvalidArgumentError: there is no such method or field, or a value does not fit; nothing was sent.
        """
        __tracebackhide__ = True  # what went wrong is in the test, and in the error's text
        request = {name: _written(value) for name, value in fields.items()}
        try:
            answer = self._caller.call(method, request, {**self._session, **(metadata or {})})
        except (CallFailedError, InvalidArgumentError) as error:
            raise error.with_traceback(None) from None
        self._trailing = answer.trailing
        if SESSION_KEY in answer.trailing:
            self._session = {SESSION_KEY: answer.trailing[SESSION_KEY]}
        return answer.reply

    def working(self) -> AbstractContextManager[None]:
        """Run a worker of all queues, as `entresol work` does, while the block lasts; none runs outside of it."""
        return self.running.working()

    def wait(self, operation: str, metadata: Metadata | None = None, /, *, timeout_s: float = 10.0) -> Any:
        """Return the response of the operation of this name once it is over; later calls see what its job wrote.

        Raises:
            CallFailedError: the job failed for good, or was cancelled.
            TimeoutError: it is not over within `timeout_s`; without a worker it is not waited for.
        """
        __tracebackhide__ = True
        has_worker = bool(self.running.workers)
        end_s = time.monotonic() + (timeout_s if has_worker else 0.0)
        told = self.call(_WAIT, metadata, name=operation, timeout="0s")
        while not told.done and (left_s := end_s - time.monotonic()) > 0:
            told = self.call(_WAIT, metadata, name=operation, timeout=f"{left_s:.3f}s")
        if not told.done:
            raise TimeoutError(f"{operation} is {self._state(told)}: {_MISSING[has_worker]}")
        if told.HasField("error"):
            raise CallFailedError(status_pb2.Status.FromString(told.error.SerializeToString()))
        position = run(self.database.servers.primary.position())
        token = self.running.platform.records.tokens.encode(Session(position, position))
        self._session = {SESSION_KEY: token}
        return self._caller.unpacked(told.response)

    def run_schedule(self, name: str) -> str:
        """Put in the job of a schedule now, as `entresol schedules run` does, and return its operation's name."""
        return self.running.run_schedule(name)

    def _state(self, operation: Any) -> str:
        told = MessageToDict(self._caller.unpacked(operation.metadata))
        return f"{told['state']}, attempt {told.get('attempt', 0)}, {told.get('step') or 'no step told'}"


def _written(value: Any) -> Any:
    if isinstance(value, Message):
        return MessageToDict(value, preserving_proto_field_name=True)
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _written(item) for name, item in value.items()}
    return value


class Platforms:
    """Serves platforms, each over a new database and an empty cache; bound to no event loop."""

    def __init__(
        self, settings: Settings, databases: Databases, ready: Migrate, cache_numbers: Iterator[int]
    ) -> None:
        self._settings = settings
        self._databases = databases
        self._ready = ready
        self._cache_numbers = cache_numbers

    @contextmanager
    def serve(self, **changes: Any) -> Iterator[ServedPlatform]:
        """Serve while the block lasts, with these settings changed; takes a fifth of a second.

        Raises:
            SchemaError, ConfigurationError: as `Platform.open` does.
        """
        database = run(self._databases.create(self._ready))
        try:
            settings = self._settings_of(database, changes)
            with RunningPlatform(settings) as running, Caller(running.address) as caller:
                yield ServedPlatform(running, database, caller)
        finally:
            run(self._databases.drop(database))

    def _settings_of(self, database: Database, changes: Mapping[str, Any]) -> Settings:
        redis, number = database.servers.redis, next(self._cache_numbers)
        run(redis.command("FLUSHDB", database=number))
        own: dict[str, Any] = {
            "listen": "127.0.0.1:0",
            "web_listen": "127.0.0.1:0",
            "database_write": database.write_url,
            "database_read": database.read_urls,
            "cache_url": redis.url(number),
            "cache_prefix": database.name,
            "relay_slot": database.name,
            "replica_poll_s": _POLL_S,
            "relay_tick_s": _POLL_S,
            "jobs_poll_s": _POLL_S,
        }
        return dataclasses.replace(self._settings, **{**own, **changes})


def ready_for(settings: Settings) -> Migrate:
    """Return what makes an empty database ready for the settings' protos.

    Where there are migrations they are applied, and nothing else, so that a test passes only over tables that a
    release will have. Before any is written, the tables are those that the protos ask for.
    """
    folders = migration_folders(settings)
    is_planned = len(folders) == 1 and Path(settings.protos).exists()  # the one is the platform's own

    async def apply(url: str) -> None:
        if is_planned:
            await make_tables(url, load_model(settings))
        else:
            await migrate(url, folders)

    return apply


async def make_tables(url: str, model: Model) -> None:
    """Make an empty database ready for the model, as `entresol plan` would write it."""
    await migrate(url, [system_folder()])
    async with connect_primary(url) as connection:
        for text in plan(model, await read_catalog(connection)).texts():
            await connection.execute(text)
