"""Custom methods: the function with its context, and its reply held to what the proto declares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

from google.protobuf.message import Message

from entresol.records import Records
from entresol.schema.model import Method, Model
from entresol.service.call import Answer, Call, Handler, Reply, replies
from entresol.service.places import place
from entresol.service.registry import Context, Function


def custom(method: Method, function: Function, records: Records, model: Model) -> Handler:
    """Return the handler of a method that `function` answers."""
    declared = method.output.full_name

    def checked(reply: Any) -> Message | bytes:
        if isinstance(reply, bytes) or (
            isinstance(reply, Message) and reply.DESCRIPTOR.full_name == declared
        ):
            return reply
        given = reply.DESCRIPTOR.full_name if isinstance(reply, Message) else type(reply).__name__
        file, line = place(function)
        raise TypeError(
            f"the function of {method.full_name} ({file}:{line}) returned {given}; it returns {declared}, or its bytes"
        )

    async def awaited(answer: Awaitable[Any]) -> Reply:
        return checked(await answer)

    async def each(answer: Answer) -> AsyncIterator[Any]:
        async with replies(answer) as stream:
            async for reply in stream:
                yield checked(reply)

    def handler(request: object, call: Call) -> Answer:
        answer: Any = function(request, Context(call, records, model))
        if method.server_streaming:
            return each(answer)
        return awaited(answer) if isinstance(answer, Awaitable) else checked(answer)

    return handler
