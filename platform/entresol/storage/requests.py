"""Idempotency of calls with a `request_id` (AIP-155): the first reply is kept, in the very transaction that earned it.

So a failure is not remembered, and of two calls at once the second waits at the unique key until the first is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from entresol.errors import ConflictError, InvalidArgumentError
from entresol.storage import sql
from entresol.storage.connections import ServerConnection
from entresol.storage.deadline import Deadline
from entresol.storage.statements import run
from entresol.storage.transaction import Transaction

Key: TypeAlias = tuple[str, str, str]  # method, caller, id


@dataclass(frozen=True, slots=True)
class Claim:
    """A caller's id for one request of one method. `hash` is that of the request's bytes."""

    method: str
    caller: str
    request_id: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The reply that a request earns when it is new, to be kept for `ttl_s`."""

    claim: Claim
    response: bytes
    ttl_s: float

    @property
    def key(self) -> Key:
        """Return what tells the request from others."""
        return (self.claim.method, self.claim.caller, self.claim.request_id)


async def keep(connection: ServerConnection, answers: Mapping[Key, Answer], deadline: Deadline) -> set[Key]:
    """Keep the replies to those requests that are new, in the transaction that `connection` is in; return which."""
    ttl_s = min(answer.ttl_s for answer in answers.values())
    columns = (
        *map(list, zip(*answers, strict=True)),
        [answer.claim.hash for answer in answers.values()],
        [answer.response for answer in answers.values()],
    )
    statement = sql.Statement(sql.KEEP_REQUESTS, (*columns, ttl_s))
    return {tuple(record) for record in await run(connection, statement, deadline, "entresol", "system")}


async def claim(transaction: Transaction, claim: Claim, *, ttl_s: float) -> bytes | None:
    """Return the reply that this request was given before; None when it is new, and then `finish` must follow.

    Raises:
        InvalidArgumentError: the id was used for another request in the last `ttl_s` seconds.
    """
    key = (claim.method, claim.caller, claim.request_id)
    # A record can expire between the two statements, or be taken back by a call that failed: then the key is free.
    for _ in range(2):
        if await transaction.system(sql.Statement(sql.CLAIM_REQUEST, (*key, claim.hash, ttl_s))):
            return None
        known = await transaction.system(sql.Statement(sql.READ_REQUEST, key))
        if known:
            return _reply(claim, known[0]["hash"], known[0]["response"])
    raise ConflictError("the same request is being answered at this moment; try again")


async def finish(transaction: Transaction, claim: Claim, response: bytes) -> None:
    """Keep the reply to the request that `claim` claimed, and remove a few that have expired."""
    key = (claim.method, claim.caller, claim.request_id)
    await transaction.system(sql.Statement(sql.FINISH_REQUEST, (*key, response)))


def _reply(claim: Claim, known_hash: bytes, response: bytes | None) -> bytes:
    if known_hash != claim.hash:
        raise InvalidArgumentError.of(
            "request_id", "was already used for another request; give every new request a new UUID"
        )
    return response or b""
