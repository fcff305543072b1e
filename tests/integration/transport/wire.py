"""A service that a transport is tried with: its functions, and what they saw of each call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.service.registry import Context, Registry
from entresol.service.status import CallFailedError

PROTOS = Path(__file__).parent / "protos"
SERVICE = "wire.v1.WireService"
MODEL = load(compile_protos(PROTOS))
Parcel: Any = GetMessageClass(MODEL.pool.FindMessageTypeByName("wire.v1.Parcel"))
ECHO, ECHO_BINARY = "echo", "echo-bin"  # comes back behind the reply
LEAD, LEAD_BINARY = "lead", "lead-bin"  # comes back before it


def registry(ended: Counter[str]) -> Registry:
    """Return the functions; `ended` counts what `begun`, and how it ended: by `done`, `failed` or `cancelled`."""
    functions = Registry()

    async def one(request: Any, context: Context) -> Any:
        ended["begun"] += 1
        _return(context, (LEAD, LEAD_BINARY), context.call.leading)
        _return(context, (ECHO, ECHO_BINARY), context.call.trailing)
        try:
            if request.pause_s:
                await asyncio.sleep(request.pause_s)
        except asyncio.CancelledError:
            ended["cancelled"] += 1
            raise
        if request.code:
            ended["failed"] += 1
            raise CallFailedError(status_pb2.Status(code=request.code, message="as you wished: 100 %\n§"))
        ended["done"] += 1
        return Parcel(payload=bytes(request.size_bytes) if request.size_bytes else request.payload)

    @functions.method(f"{SERVICE}.Carry")
    async def carry(request: Any, context: Context) -> Any:
        return await one(request, context)

    @functions.method(f"{SERVICE}.Repeat")
    async def repeat(request: Any, context: Context) -> AsyncIterator[Any]:
        for index in range(request.count):
            is_last = index == request.count - 1
            wish = Parcel.FromString(request.SerializeToString())
            wish.code = request.code if is_last else 0
            yield await one(wish, context)

    @functions.method(f"{SERVICE}.Collect")
    async def collect(requests: AsyncIterator[Any], context: Context) -> Any:
        parcels = [request async for request in requests]
        wish = Parcel(payload=b"".join(parcel.payload for parcel in parcels))
        wish.code = max((parcel.code for parcel in parcels), default=0)
        return await one(wish, context)

    @functions.method(f"{SERVICE}.Relay")
    async def relay(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            yield await one(request, context)

    return functions


def _return(context: Context, names: tuple[str, ...], metadata: dict[str, str | bytes]) -> None:
    for name in names:
        if value := context.call.binary.get(name) or context.call.metadata.get(name):
            metadata[name] = value
