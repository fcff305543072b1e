"""The quick way to read: what a plain call asks of this process's copies, or of the cache, needs no task and no link.

A call is plain when its metadata wishes for nothing: no level, mask or version. Where the resource promises what every
hit keeps (BOUNDED or EVENTUAL, no `max_staleness`), the links would do no more with such a call than decode and check
its request, and a request that was good once is good. A policy that need not be awaited is asked here as there. A
session's token is looked at, too: what may be shown to it without making another token is found here. Whatever is not
found so, every refusal and every mistake go the ordinary way from its beginning.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from entresol import telemetry
from entresol.cache.session import EMPTY, Session
from entresol.cache.tokens import SessionTokens
from entresol.errors import InvalidArgumentError
from entresol.records import Hits, Records
from entresol.schema.checks import RequestCheck
from entresol.schema.model import Consistency, Method, MethodKind, Resource
from entresol.service.call import (
    CONSISTENCY_KEY,
    READ_MASK_KEY,
    SESSION_KEY,
    SHOW_VERSION_KEY,
    Call,
    Handler,
)
from entresol.service.frames import repeated
from entresol.service.links.trace import note
from entresol.service.standard import reply_field_number, resource_of

log = logging.getLogger(__name__)

WISHES = frozenset({CONSISTENCY_KEY, READ_MASK_KEY, SHOW_VERSION_KEY})
_WISHES_TRACED = WISHES | {"traceparent"}
TOKENS_MAX = 1024  # of sessions whose last one is remembered as it was read
REQUESTS_MAX = 8192  # that are known to be good, of one method
REQUEST_BYTES_MAX = 512  # of such a one
_LEVELS = (Consistency.BOUNDED, Consistency.EVENTUAL)

# Hears the reply, from the cache; None when it takes the handler after all.
Told = Callable[[bytes | None], None]


def token_of(metadata: Mapping[str, str]) -> str | None:
    """Return the session's token of a plain call, which may be empty; None of a call that is not plain."""
    wishes = _WISHES_TRACED if telemetry.tracing() else WISHES
    return metadata.get(SESSION_KEY, "") if wishes.isdisjoint(metadata) else None


class Look:
    """What copies had of one request; the cache may have the rest."""

    __slots__ = ("_begun_s", "_copies", "_names", "_quick", "_session", "_told")

    def __init__(
        self,
        quick: Quick,
        session: Session,
        begun_s: float,
        names: Sequence[str],
        copies: Sequence[bytes | None],
    ) -> None:
        self._quick = quick
        self._session = session
        self._begun_s = begun_s
        self._names = names
        self._copies = copies

    def ask(self, told: Told) -> None:
        """Have `told` called once the cache has answered."""
        self._told = told
        missing = [name for name, copy in zip(self._names, self._copies, strict=True) if copy is None]
        self._quick.hits.ask(self._quick.resource, missing, self._session, self._answered)

    async def found(self) -> bytes | None:
        """Return the reply from the cache; None when it takes the handler after all."""
        reply: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self.ask(partial(_tell, reply))
        return await reply

    def _answered(self, found: Sequence[bytes | None]) -> None:
        rest = iter(found)
        messages = [next(rest) if copy is None else copy for copy in self._copies]
        try:
            reply = self._quick.reply(messages, self._begun_s)
        except Exception:  # whoever waits must be told something
            log.exception("a reply could not be made of what was found")
            reply = None
        self._told(reply)


@dataclass(frozen=True, slots=True)
class Quick:
    """How one method is answered quickly: its handler answers what this does not."""

    method: Method
    resource: Resource
    hits: Hits
    read: Callable[[bytes], Sequence[str] | None]
    join: Callable[[Sequence[Any]], bytes]  # of messages none of which is missing
    session_of: Callable[[str], Session]
    permit: (
        Handler | None
    )  # links that answer with something if a policy allows the call; None without a policy

    def look(self, request: bytes, token: str, begin: Callable[[], Call]) -> bytes | Look | None:
        """Return the reply when copies have all of it, else a look by which the cache can be asked.

        None takes the handler: for a request or a token that is not good, or not known to be, and for what the policy
        does not allow. `begin` makes the call, if anybody wants to see it.
        """
        try:
            names = self.read(request)
            if names is None or (self.permit is not None and not _is_allowed(self.permit, request, begin())):
                return None
            session = self.session_of(token) if token else EMPTY
            begun_s = time.perf_counter()
            copies = self.hits.copies(self.resource, names, session)
            reply = self.reply(copies, begun_s)
            return Look(self, session, begun_s, names, copies) if reply is None else reply
        except InvalidArgumentError:  # the token is not good
            return None
        except Exception:  # else it would end the connection, and all calls on it
            log.exception("copies could not be looked through")
            return None

    def reply(self, messages: Sequence[bytes | None], begun_s: float) -> bytes | None:
        """Return the reply of a call that began at `begun_s`; None when a message is missing."""
        if None in messages:
            return None
        note(self.method, begun_s)
        return self.join(messages)


def quick(
    method: Method, records: Records, check: RequestCheck, permit: Handler | None, *, batch_size_max: int
) -> Quick | None:
    """Return the quick way of a method; None where there is none."""
    if method.kind not in (MethodKind.GET, MethodKind.BATCH_GET) or records.hits is None:
        return None
    resource = resource_of(method)
    level = method.consistency or resource.consistency
    if not resource.cache.enabled or resource.cache.staleness_s_max or level not in _LEVELS:
        return None
    read: Callable[[bytes], Sequence[str] | None]
    join: Callable[[Sequence[Any]], bytes]
    if method.kind is MethodKind.GET:
        read, join = _name(method, check), lambda messages: messages[0]
    else:
        read, join = _names(method, batch_size_max), partial(repeated, reply_field_number(method))
    session_of = lru_cache(TOKENS_MAX)(partial(_session, records.tokens, level))
    return Quick(method, resource, records.hits, read, join, session_of, permit)


def _is_allowed(permit: Handler, request: bytes, call: Call) -> bool:
    """Tell whether the policy allows the call and says nothing in the reply; it is asked again where it does not."""
    try:
        allowed = permit(request, call)
    except Exception:  # the ordinary way tells what is wrong
        return False
    return bool(allowed) and not call.leading and not call.trailing


def _session(tokens: SessionTokens, level: Consistency, token: str) -> Session:
    session = tokens.decode(token)
    return EMPTY if level is Consistency.EVENTUAL else session  # which shows anything to anybody


def _tell(reply: asyncio.Future[bytes | None], found: bytes | None) -> None:
    if not reply.done():  # else nobody waits any more: it was cancelled
        reply.set_result(found)


def _name(method: Method, check: RequestCheck) -> Callable[[bytes], Sequence[str] | None]:
    """Return what reads the name of a Get; a request that was found good is remembered."""

    @lru_cache(maxsize=REQUESTS_MAX)
    def known(request: bytes) -> Sequence[str] | None:
        message = _message(method, request)
        return None if message is None or check.violations(message) else (str(message.name),)

    return lambda request: known(request) if len(request) <= REQUEST_BYTES_MAX else None


def _names(method: Method, batch_size_max: int) -> Callable[[bytes], Sequence[str] | None]:
    """Return what reads the names of a BatchGet: those that have an entry are good, so only the rest is looked at."""

    def names(request: bytes) -> Sequence[str] | None:
        message = _message(method, request)
        fields: Sequence[Any] = () if message is None else message.ListFields()
        if len(fields) != 1 or fields[0][0].name != "names" or len(UnknownFieldSet(message)):
            return None
        found: Sequence[str] = fields[0][1]
        return found if len(found) <= batch_size_max else None

    return names


def _message(method: Method, request: bytes) -> Any:
    try:
        return method.input_class.FromString(request)
    except DecodeError:
        return None
