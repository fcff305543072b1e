"""The composition root: `Platform.open(settings)` wires everything, in order, and `close` undoes it, in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from entresol import telemetry
from entresol.background import kept_running, noticed
from entresol.cache.gate import Snapshot
from entresol.cache.refill import Read
from entresol.cache.relay import Relay
from entresol.cache.scopes import Scopes
from entresol.clock import Clock
from entresol.codegen.protos import compile_protos, located
from entresol.config import Settings
from entresol.errors import ConfigurationError, SchemaError, UnavailableError
from entresol.jobs.kinds import Kinds
from entresol.jobs.worker import Worker
from entresol.life import Life
from entresol.records import Records
from entresol.schedules.scheduler import Scheduler
from entresol.schema.load import examine
from entresol.schema.model import Model
from entresol.service.functions import check_functions
from entresol.service.imports import import_functions
from entresol.service.jobs import kinds
from entresol.service.ops import provided
from entresol.service.purges import purges
from entresol.service.registry import Registry, registry
from entresol.service.schedules import declared, policies
from entresol.service.table import Route, build
from entresol.storage.days import keep_days
from entresol.storage.identifiers import full_name
from entresol.storage.jobs import Jobs
from entresol.storage.placement import jobs_of
from entresol.storage.pools import Pools
from entresol.storage.replication import ReplicationStream, open_stream
from entresol.storage.schedules import Schedules
from entresol.storage.slots import prepare
from entresol.storage.snapshots import Snapshots
from entresol.stores import open_records, open_stores
from entresol.transport.grpcio import GrpcServer
from entresol.transport.http2 import Http2Server
from entresol.transport.web import WebServer

if TYPE_CHECKING:
    from entresol.jobs.relayed import Relayed

log = logging.getLogger(__name__)

Server = GrpcServer | Http2Server
_TRANSPORTS: Mapping[str, type[Server]] = {"grpcio": GrpcServer, "http2": Http2Server}

RELAY_READY_S = 30.0
REFILL_S = 5.0


@dataclass(slots=True)
class Platform:
    """Everything one server process holds. Use it as an async context manager, or `close` it."""

    settings: Settings
    model: Model
    records: Records
    table: Mapping[str, Route]
    pools: Pools
    clock: Clock
    life: Life
    _open: AsyncExitStack
    _servers: list[Server | WebServer] = field(default_factory=list)

    @classmethod
    async def open(
        cls, settings: Settings, *, functions: Registry | None = None, life: Life | None = None
    ) -> Self:
        """Load the protos, connect to the stores, and build the method table; `life` hears how it goes.

        Raises:
            SchemaError: the protos or their functions have mistakes, all of which it lists.
            ConfigurationError: a server or a setting cannot work; the text says what to change.
        """
        telemetry.look()
        clock, life = Clock(), life or Life()
        model = load_served(settings, functions or registry)
        async with AsyncExitStack() as stack:
            pools, records = await open_stores(settings, model, stack, life, near=True)
            events = [resource for resource in model.resources.values() if resource.events]
            if events:
                await stack.enter_async_context(kept_running(keep_days(pools, events), "entresol days"))
            table = build(model, records, functions or registry, settings, provided=provided(model, pools))
            if settings.console != "off":
                from entresol.console.served import console_of  # here, for most servers need no templates

                life.folders["/console"] = console_of(settings, model, table, pools, clock, life)
            return cls(settings, model, records, table, pools, clock, life, stack.pop_all())
        raise AssertionError("unreachable")  # the stack above swallows nothing

    async def serve(self) -> Server:
        """Listen on `settings.listen` and return the running server; it is stopped by `close`.

        Raises:
            ConfigurationError: of the transport, or of the address.
        """
        transport = _TRANSPORTS.get(self.settings.transport)
        if transport is None:
            names = " and ".join(_TRANSPORTS)
            raise ConfigurationError(
                f"setting transport: there is no {self.settings.transport!r}, but {names}",
                metadata={"setting": "transport"},
            )
        server = transport(self.table, self.model, self.settings, self.clock, self.life)
        await server.start()
        self._servers.append(server)
        self.life.add("transport", server.facts)
        self.life.ready()
        return server

    async def serve_web(self) -> WebServer | None:
        """Listen on `settings.web_listen`, if there is one; the server is stopped by `close`.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        if not self.settings.web_listen:
            return None
        server = WebServer(self.table, self.model, self.settings, self.clock)
        await server.start()
        self._servers.append(server)
        self.life.add("transport", server.facts)
        return server

    async def drain(self) -> None:
        """Say that this server is not ready, and go on for `drain_delay_s`, in which balancers notice."""
        self.life.drain()
        await asyncio.sleep(self.settings.drain_delay_s)

    async def close(self) -> None:
        """Stop serving on all ports at once, finish what is running, and let go of every connection."""
        self.life.drain()
        try:
            await asyncio.gather(*(server.stop() for server in self._servers))
        finally:
            await self._open.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@asynccontextmanager
async def open_worker(
    settings: Settings,
    queues: Sequence[str],
    *,
    functions: Registry | None = None,
    life: Life | None = None,
) -> AsyncIterator[Worker]:
    """Give a worker of these queues, for who lets it `run`, and run a scheduler; raises as `Platform.open` does."""
    telemetry.look()
    given = functions or registry
    model = load_served(settings, given)
    async with AsyncExitStack() as stack:
        pools, records = await open_stores(settings, model, stack, life)
        known = kinds(model, records, {**purges(model), **given.jobs}, Clock(), given.isolated)
        if not known:  # an image whose next version has jobs may run workers already
            log.warning("no job is registered: a function becomes one by @entresol.job(METHOD)")
        named = {method.job.queue for method in model.methods.values() if method.job}
        for queue in sorted({*queues} - named):
            log.warning("no method puts jobs into queue %s; there are %s", queue, ", ".join(sorted(named)))
        jobs = jobs_of(pools)
        scheduler = Scheduler(
            Schedules(pools),
            jobs,
            {name: policy for name, policy in policies(model).items() if name in known},
            declared(model, given),
            settings.jobs_kept_days,
        )
        await stack.enter_async_context(kept_running(scheduler.run(), "entresol scheduler"))
        worker = Worker(jobs, known, queues, settings, _relayed(jobs, known, queues, settings))
        if life is not None:
            life.add("worker", worker.facts)
        yield worker


@asynccontextmanager
async def working(
    settings: Settings, model: Model, *, functions: Registry | None = None, life: Life | None = None
) -> AsyncIterator[None]:
    """Run a worker of all queues of the model, if there are any, while the block lasts, and let it end what it runs."""
    queues = sorted({method.job.queue for method in model.methods.values() if method.job})
    if not queues:
        yield
        return
    async with open_worker(settings, queues, functions=functions, life=life) as worker:
        task = asyncio.create_task(worker.run(), name="entresol worker")
        task.add_done_callback(noticed)
        try:
            yield
        finally:
            worker.stop()
            await asyncio.wait((task,))


def _relayed(jobs: Jobs, known: Kinds, queues: Sequence[str], settings: Settings) -> Relayed | None:
    if not settings.jobs_relayed:
        return None
    from entresol.jobs.relayed import Relayed  # its library is an extra

    # No more of them may be claimed than there are processes or permits, and a message does not wait for one.
    left = sorted(name for name, kind in known.items() if kind.is_isolated or kind.limit)
    if left:
        log.warning(
            "%s: isolated or with limits, and left to workers without ENTRESOL_JOBS_RELAYED", ", ".join(left)
        )
    return Relayed(jobs, [name for name in known if name not in left], queues, settings)


@asynccontextmanager
async def open_relay(
    settings: Settings, model: Model | None = None, *, life: Life | None = None
) -> AsyncIterator[Relay]:
    """Give the relay of the settings' database and cache; its `run` makes the slot and publication it needs.

    Raises:
        ConfigurationError: the cache is not set or cannot work, or the database cannot be followed; the text says
            what to change.
    """
    if not settings.cache_url:
        raise ConfigurationError("there is no cache to relay to: set ENTRESOL_CACHE_URL")
    model = model or load_model(settings)
    # Of events nothing is cached, so that nobody need hear of them.
    told = (resource for resource in model.resources.values() if not resource.events)
    tables = sorted(full_name(resource.table) for resource in told)

    def open_feed() -> AbstractAsyncContextManager[ReplicationStream]:
        return open_stream(
            settings.database_write,
            settings.relay_slot,
            settings.relay_publication,
            tables,
            status_s=settings.relay_tick_s,
            lease_s=settings.relay_lease_s,
        )

    with contextlib.suppress(
        UnavailableError
    ):  # the relay tries again; what is configured wrong it cannot mend
        await prepare(settings.database_write, settings.relay_slot, settings.relay_publication, tables)
    snapshots = Snapshots(settings.database_write)

    async def take_snapshot() -> Snapshot:
        return Snapshot.parse(*await snapshots.take())

    try:
        open_reader = partial(_open_reader, settings, model) if settings.relay_refill else None
        scopes = Scopes.of(model.resources.values())
        fences = any(resource.is_fenced for resource in model.resources.values())
        relay = Relay.open(
            settings, open_feed, take_snapshot, open_reader=open_reader, scopes=scopes, fences=fences
        )
        for warning in await relay.look():
            log.warning("%s", warning)
        if life is not None:
            life.add("relay", relay.facts)
        yield relay
    finally:
        await snapshots.close()


@asynccontextmanager
async def _open_reader(settings: Settings, model: Model) -> AsyncIterator[Read]:
    """Give what reads records into the cache, with few connections of its own."""
    few = replace(
        settings,
        database_write_connections=1,
        database_read_connections=1,
        database_loads_max=1,
        start_wait_s=0.0,
    )
    by_table = {resource.table.removeprefix("public."): resource for resource in model.resources.values()}
    async with open_records(few, model) as records:

        async def read(table: str, names: Sequence[str]) -> None:
            resource = by_table.get(table)
            if resource is not None and resource.cache.enabled:
                async with asyncio.timeout(REFILL_S):
                    await records.get(resource, names)

        yield read


@asynccontextmanager
async def relaying(settings: Settings, *, life: Life | None = None) -> AsyncIterator[Relay]:
    """Run the relay while the block lasts; the cache takes entries when the block begins.

    Raises:
        UnavailableError: the relay did not come up within `RELAY_READY_S`.
    """
    async with open_relay(settings, life=life) as relay:
        task = asyncio.create_task(relay.run(), name="entresol relay")
        try:
            await _until_ready(relay)
            yield relay
        finally:
            task.cancel()
            await asyncio.wait((task,))


async def _until_ready(relay: Relay) -> None:
    try:
        async with asyncio.timeout(RELAY_READY_S):
            await relay.ready()
    except TimeoutError as error:
        raise UnavailableError(f"the relay is not ready after {RELAY_READY_S} s; its log says why") from error


def load_model(settings: Settings) -> Model:
    """Return the model of `settings.protos`, a folder of protos or a descriptor set."""
    with _located(settings):
        model, report = examine(_descriptor_set(settings))
        report.close()
    return model


def load_served(settings: Settings, functions: Registry = registry) -> Model:
    """Return the model, with the functions of its custom methods imported.

    Raises:
        SchemaError: the protos have mistakes, or `functions` are not those of the custom methods; all is listed.
    """
    with _located(settings):
        model, report = examine(_descriptor_set(settings))
        complete = import_functions(settings, report)
        check_functions(model, functions, report, complete=complete)
        report.close()
    return model


@contextlib.contextmanager
def _located(settings: Settings) -> Iterator[None]:
    try:
        yield
    except SchemaError as error:
        mistakes = located(error.mistakes, Path(settings.protos))
        raise SchemaError(mistakes, complete=error.is_complete) from error


def _descriptor_set(settings: Settings) -> bytes:
    path = Path(settings.protos)
    if not path.exists():
        raise ConfigurationError(f"{path} does not exist: set ENTRESOL_PROTOS to a folder of .proto files")
    return compile_protos(path)
