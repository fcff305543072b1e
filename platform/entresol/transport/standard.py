"""What every gRPC server answers beside the method table: health and reflection, and what they tell of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from entresol.life import Life
from entresol.schema.model import Model

LIVENESS = "liveness"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_LOOK_S = 0.5  # between two looks at whether stores came or went
_CHANNELZ = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].full_name


class Standard:
    """The services of one server. Each name of `services`, `""` and `liveness` has a health of its own."""

    def __init__(self, model: Model) -> None:
        """Serve the model. Channelz the transport brings itself: reflection tells of it."""
        self.services = [*model.services, health.SERVICE_NAME]
        self.reflected: Sequence[str] = [*self.services, _CHANNELZ, reflection.SERVICE_NAME]
        self.health = health.aio.HealthServicer()
        # With the details of errors, which reach tools as messages that they must look up.
        self.pool = Symbols(_pool(model, (health_pb2, reflection_pb2, channelz_pb2, error_details_pb2)))

    async def serving(self) -> None:
        """Report SERVING."""
        await self.health.set(LIVENESS, _SERVING)
        await self._set(_SERVING)

    async def draining(self) -> None:
        """Report NOT_SERVING, but for `liveness`: who is killed for leaving loses the calls that still run."""
        await self._set(_NOT_SERVING)

    async def follow(self, life: Life) -> None:
        """Report what readiness is, for ever."""
        told = True
        while True:
            if life.is_ready != told:
                told = not told
                await self._set(_SERVING if told else _NOT_SERVING)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await life.changed.wait()

    async def _set(self, status: int) -> None:
        for service in ("", *self.services):
            await self.health.set(service, status)


class Symbols:
    """A pool of descriptors as reflection asks it, which knows methods by their names, too: tools look them up."""

    def __init__(self, pool: DescriptorPool) -> None:
        self._pool = pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802 - the pool's own name
        """Return the file that declares this symbol; KeyError when none does."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            service, _, method = symbol.rpartition(".")
            return self._pool.FindServiceByName(service).methods_by_name[method].containing_service.file


def _pool(model: Model, modules: Iterable[Any]) -> DescriptorPool:
    """Return the model's files and those of these modules, in one pool."""
    pool = DescriptorPool()
    files = {file.name: file for file in FileDescriptorSet.FromString(model.descriptor_set).file}
    for module in modules:
        _add_with_imports(module.DESCRIPTOR, files)
    for file in files.values():
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_with_imports(descriptor: Any, files: dict[str, Any]) -> None:
    for dependency in descriptor.dependencies:
        _add_with_imports(dependency, files)
    if descriptor.name not in files:
        copy = FileDescriptorSet().file.add()
        descriptor.CopyToProto(copy)
        files[descriptor.name] = copy
