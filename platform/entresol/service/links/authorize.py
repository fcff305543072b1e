"""The authorize link: permission is asked before anything is looked up (AIP-193)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from inspect import iscoroutinefunction
from typing import Any

from google.protobuf.message import Message

from entresol.errors import PermissionDeniedError
from entresol.service.call import Answer, Call, Handler, Link, Reply, finished
from entresol.service.places import place

# Tells whether the call may go on: at once, or awaited. It sees the parsed request and must not look the resource up.
Policy = Callable[[Message, Call], bool | Awaitable[bool]]
_ALLOWED, _NOT_YET = b"allowed", b""


def authorize(policy: Policy | None) -> Link:
    """Return the link that asks `policy`; without one every call is allowed."""
    if policy is None:
        return lambda following, request, call: following(request, call)

    def link(following: Handler, request: Any, call: Call) -> Answer:
        allowed = policy(request, call)
        if isinstance(allowed, Awaitable):
            return ask(allowed, following, request, call)
        _require(policy, allowed, call)
        return following(request, call)

    async def ask(asked: Awaitable[bool], following: Handler, request: Any, call: Call) -> Reply:
        _require(policy, await asked, call)
        return await finished(following(request, call))

    return link


def is_awaited(policy: Policy | None) -> bool:
    """Tell whether a policy is known to need awaiting: a function, or an object that is called as one."""
    return iscoroutinefunction(policy) or iscoroutinefunction(type(policy).__call__)


def guard(policy: Policy) -> Handler:
    """Return what answers with something if `policy` allows the call at once, and with nothing if it does not."""

    def handler(request: Any, call: Call) -> Answer:
        allowed = policy(request, call)
        _close(allowed)
        return _ALLOWED if allowed is True else _NOT_YET

    return handler


def _require(policy: Policy, allowed: object, call: Call) -> None:
    """Let go on what the policy allows.

    Raises:
        PermissionDeniedError: it does not.
        TypeError: it does not say; most things are true, a coroutine that was not awaited among them.
    """
    if allowed is True:
        return
    if allowed is not False:
        _close(allowed)
        name = getattr(policy, "__qualname__", type(policy).__qualname__)
        file, line = place(policy)
        raise TypeError(f"{name} ({file}:{line}) returned {allowed!r}; a policy returns True or False")
    caller = call.caller.subject or "an anonymous caller"
    raise PermissionDeniedError(
        f"{caller} may not call {call.method.full_name} here",
        metadata={"caller": caller, "method": call.method.full_name},
    )


def _close(answer: object) -> None:
    """Let go of what nobody will await."""
    if isinstance(answer, Coroutine):
        answer.close()
    elif isinstance(answer, asyncio.Future):
        answer.cancel()
