"""A policy as a team has one: it looks at what the caller sent and what is asked for, and awaits nothing."""

from __future__ import annotations

from google.protobuf.message import Message

import entresol
from entresol.schema.model import MethodKind
from entresol.service.call import Call

_READS = frozenset({MethodKind.GET, MethodKind.BATCH_GET, MethodKind.LIST})
_WRITERS = frozenset({"editor", "owner"})


@entresol.authorizer
def readers_and_writers(_request: Message, call: Call) -> bool:
    """Let strangers read, and only who may write do so."""
    return call.method.kind in _READS or call.metadata.get("role") in _WRITERS
