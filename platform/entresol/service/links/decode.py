"""The decode link: bytes become the method's request message, and metadata what the call demands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import DecodeError, Message

from entresol.cache.tokens import SessionTokens
from entresol.config import Settings
from entresol.errors import InvalidArgumentError, MessageTooLargeError
from entresol.records import Demand
from entresol.schema.clearing import clear_output_only
from entresol.schema.model import Consistency
from entresol.service.call import CONSISTENCY_KEY, SESSION_KEY, Answer, Call, Handler, Link

# What a caller who says nothing demands, by the method's consistency.
_PLAIN = {consistency: Demand(consistency=consistency) for consistency in (None, *Consistency)}


def decode(settings: Settings, tokens: SessionTokens) -> Link:
    """Return the link for these settings; what only the server writes is cleared, so that nobody trusts it."""
    size_bytes_max = settings.message_size_bytes_max

    def parsed(request: bytes, call: Call) -> Message:
        if len(request) > size_bytes_max:
            raise MessageTooLargeError(len(request), size_bytes_max)
        try:
            message = call.method.input_class.FromString(request)
        except DecodeError as error:
            name = call.method.input.full_name
            raise InvalidArgumentError.of(
                "request", f"is not a valid {name}: check its encoding and UTF-8"
            ) from error
        clear_output_only(message)
        return message

    async def each(requests: AsyncIterator[bytes], call: Call) -> AsyncIterator[Message]:
        async for request in requests:
            yield parsed(request, call)

    def link(following: Handler, request: Any, call: Call) -> Answer:
        message = each(request, call) if call.method.client_streaming else parsed(request, call)
        call.demand = _demand(call, tokens)
        return following(message, call)

    return link


def _demand(call: Call, tokens: SessionTokens) -> Demand:
    token, text = call.metadata.get(SESSION_KEY, ""), call.metadata.get(CONSISTENCY_KEY, "")
    consistency = call.method.consistency
    if not token and not text:
        return _PLAIN[consistency]
    session = tokens.decode(token)
    if text:
        try:
            consistency = Consistency[text.upper()]
        except KeyError as error:
            levels = ", ".join(level.name.lower() for level in Consistency)
            raise InvalidArgumentError.of(CONSISTENCY_KEY, f"{text!r} is none of {levels}") from error
    return Demand(session, consistency)
