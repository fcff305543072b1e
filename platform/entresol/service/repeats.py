"""Requests with a `request_id`: one that is sent again gets the first reply and does not act again (AIP-155)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.message import Message

from entresol.schema.model import Method
from entresol.service.call import Call
from entresol.storage import requests
from entresol.storage.requests import Claim
from entresol.storage.transaction import Transaction

# What a write does inside its transaction; it returns the serialized reply.
Work = Callable[[Transaction], Awaitable[bytes]]


async def once(
    transaction: Transaction, work: Work, request: Message, method: Method, call: Call, ttl_s: float
) -> bytes:
    """Return the reply that this request had before, or do the work."""
    claim = claim_of(request, method, call)
    if claim is None:
        return await work(transaction)
    reply = await requests.claim(transaction, claim, ttl_s=ttl_s)
    if reply is None:
        reply = await work(transaction)
        await requests.finish(transaction, claim, reply)
    return reply


async def each_once(
    transaction: Transaction,
    work: Callable[[Sequence[int]], Awaitable[Sequence[bytes]]],
    batch: Sequence[Message],
    method: Method,
    call: Call,
    ttl_s: float,
) -> list[bytes]:
    """Return a reply for each request of a batch: the one it had before, or what `work` makes of those that are new.

    `work` is given their indexes. A request is the same alone as in a batch.
    """
    claims = {index: claim for index, one in enumerate(batch) if (claim := claim_of(one, method, call))}
    replies: dict[int, bytes] = {}
    # In one order everywhere, so that two batches with the same requests cannot wait for each other.
    for index in sorted(claims, key=lambda index: claims[index].request_id):
        reply = await requests.claim(transaction, claims[index], ttl_s=ttl_s)
        if reply is not None:
            replies[index] = reply
    new = [index for index in range(len(batch)) if index not in replies]
    for index, reply in zip(new, await work(new), strict=True):
        replies[index] = reply
        if index in claims:
            await requests.finish(transaction, claims[index], reply)
    return [replies[index] for index in range(len(batch))]


def claim_of(request: Any, method: Method, call: Call) -> Claim | None:
    """Return what the caller knows this request by; None when by nothing."""
    request_id: str = getattr(request, "request_id", "")
    if not request_id:
        return None
    asked = type(request)()
    asked.CopyFrom(request)
    asked.ClearField("request_id")  # whose letters may be of either case (RFC 9562)
    digest = hashlib.sha256(asked.SerializeToString(deterministic=True)).digest()
    return Claim(method.full_name, call.caller.subject, request_id.lower(), digest)
