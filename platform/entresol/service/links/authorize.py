"""The authorize link: permission is asked before anything is looked up (AIP-193)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from google.protobuf.message import Message

from entresol.errors import PermissionDeniedError
from entresol.service.call import Answer, Call, Handler, Link, Reply, finished

# Tells whether the call may go on: at once, or awaited. It sees the parsed request and must not look the resource up.
Policy = Callable[[Message, Call], bool | Awaitable[bool]]
_ALLOWED, _NOT_YET = b"allowed", b""


def authorize(policy: Policy | None) -> Link:
    """Return the link that asks `policy`; without one every call is allowed."""

    async def ask(asked: Awaitable[bool], following: Handler, request: Any, call: Call) -> Reply:
        _require(await asked, call)
        return await finished(following(request, call))

    def link(following: Handler, request: Any, call: Call) -> Answer:
        if policy is not None:
            allowed = policy(request, call)
            if isinstance(allowed, Awaitable):
                return ask(allowed, following, request, call)
            _require(allowed, call)
        return following(request, call)

    return link


def guard(policy: Policy) -> Handler:
    """Return what answers with something if `policy` allows the call at once, and with nothing if it does not."""

    def handler(request: Any, call: Call) -> Answer:
        allowed = policy(request, call)
        if isinstance(allowed, Awaitable):
            if isinstance(allowed, Coroutine):
                allowed.close()
            return _NOT_YET
        return _ALLOWED if allowed else _NOT_YET

    return handler


def _require(allowed: bool, call: Call) -> None:
    if not allowed:
        caller = call.caller.subject or "an anonymous caller"
        raise PermissionDeniedError(
            f"{caller} may not call {call.method.full_name} here",
            metadata={"caller": caller, "method": call.method.full_name},
        )
