"""The quick way to read: what a plain call asks of this process's copies, or of the cache, needs no task and no link.

A call is plain when its metadata wishes for nothing: no token, level, mask or version. Where no policy decides and the
resource promises what every hit keeps (BOUNDED or EVENTUAL, no `max_staleness`), the links would do no more with such a
call than decode and check its request, and a request that was good once is good. Whatever is not found so, and every
mistake, goes the ordinary way from its beginning.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from entresol import telemetry
from entresol.records import Hits, Records
from entresol.schema.checks import RequestCheck
from entresol.schema.model import Consistency, Method, MethodKind, Resource
from entresol.service.call import CONSISTENCY_KEY, READ_MASK_KEY, SESSION_KEY, SHOW_VERSION_KEY
from entresol.service.frames import repeated
from entresol.service.links.trace import record
from entresol.service.standard import reply_field_number, resource_of

WISHES = frozenset({SESSION_KEY, CONSISTENCY_KEY, READ_MASK_KEY, SHOW_VERSION_KEY})
REQUESTS_MAX = 8192  # that are known to be good, of one method
REQUEST_BYTES_MAX = 512  # of such a one
_OK = 0
_LEVELS = (Consistency.BOUNDED, Consistency.EVENTUAL)

Told = Callable[[bytes | None], None]


class Quick(Protocol):
    """How one method is answered quickly. What it does not answer is for the method's handler."""

    def near(self, request: bytes) -> bytes | None:
        """Return the reply to a plain call if this process has it."""

    def cached(self, request: bytes, told: Told) -> bool:
        """Have `told` called with the reply, or with None, once the cache has answered; False: it is not asked."""


def is_plain(metadata: Mapping[str, str]) -> bool:
    """Tell whether a call with this metadata wishes for nothing."""
    return WISHES.isdisjoint(metadata)


def quick(method: Method, records: Records, check: RequestCheck, *, batch_size_max: int) -> Quick | None:
    """Return the quick way of a method; None where there is none."""
    if method.kind not in (MethodKind.GET, MethodKind.BATCH_GET) or records.hits is None:
        return None
    resource = resource_of(method)
    level = method.consistency or resource.consistency
    if not resource.cache.enabled or resource.cache.staleness_s_max or level not in _LEVELS:
        return None
    if method.kind is MethodKind.GET:
        return _Get(method, resource, records.hits, check)
    return _BatchGet(method, resource, records.hits, batch_size_max)


class _Quick:
    """What Get and BatchGet have in common: which names a request asks for, and a reply of their messages."""

    def __init__(self, method: Method, resource: Resource, hits: Hits) -> None:
        self._method = method
        self._resource = resource
        self._hits = hits

    def near(self, request: bytes) -> bytes | None:
        """As in Quick."""
        begun_s = time.perf_counter()
        if telemetry.tracing() or (names := self._names(request)) is None:
            return None
        messages = self._hits.copies(self._resource, names)
        return None if messages is None else self._reply(messages, begun_s)

    def cached(self, request: bytes, told: Told) -> bool:
        """As in Quick."""
        if telemetry.tracing() or (names := self._names(request)) is None:
            return False
        self._hits.ask(self._resource, names, partial(self._tell, told, time.perf_counter()))
        return True

    def _tell(self, told: Told, begun_s: float, messages: list[bytes] | None) -> None:
        told(None if messages is None else self._reply(messages, begun_s))

    def _reply(self, messages: list[bytes], begun_s: float) -> bytes:
        record(self._method, begun_s, _OK)
        return self._joined(messages)

    def _names(self, request: bytes) -> Sequence[str] | None:
        """Return what a good request asks for; None of one that is not good, or not known to be."""
        raise NotImplementedError

    def _joined(self, messages: list[bytes]) -> bytes:
        raise NotImplementedError


class _Get(_Quick):
    """Get: a request that was found good is remembered."""

    def __init__(self, method: Method, resource: Resource, hits: Hits, check: RequestCheck) -> None:
        super().__init__(method, resource, hits)
        self._check = check
        self._known = lru_cache(maxsize=REQUESTS_MAX)(self._read)

    def _names(self, request: bytes) -> Sequence[str] | None:
        return self._known(request) if len(request) <= REQUEST_BYTES_MAX else None

    def _joined(self, messages: list[bytes]) -> bytes:
        return messages[0]

    def _read(self, request: bytes) -> Sequence[str] | None:
        try:
            message: Any = self._method.input_class.FromString(request)
        except DecodeError:
            return None
        return None if self._check.violations(message) else (str(message.name),)


class _BatchGet(_Quick):
    """BatchGet: names that have an entry are good, so that only the rest of the request has to be looked at."""

    def __init__(self, method: Method, resource: Resource, hits: Hits, batch_size_max: int) -> None:
        super().__init__(method, resource, hits)
        self._batch_size_max = batch_size_max
        self._number = reply_field_number(method)

    def _names(self, request: bytes) -> Sequence[str] | None:
        try:
            message: Any = self._method.input_class.FromString(request)
        except DecodeError:
            return None
        fields = message.ListFields()
        if len(fields) != 1 or fields[0][0].name != "names" or len(UnknownFieldSet(message)):
            return None
        names = fields[0][1]
        return names if len(names) <= self._batch_size_max else None

    def _joined(self, messages: list[bytes]) -> bytes:
        return repeated(self._number, messages)
