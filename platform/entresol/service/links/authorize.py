"""The authorize link: permission is asked before anything is looked up (AIP-193)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from entresol.errors import PermissionDeniedError
from entresol.service.call import Answer, Call, Handler, Link, Reply, finished

# Tells whether the call may go on. It sees the parsed request and must not look the resource up.
Policy = Callable[[Message, Call], Awaitable[bool]]


def authorize(policy: Policy | None) -> Link:
    """Return the link that asks `policy`; without one every call is allowed."""

    async def ask(asked: Policy, following: Handler, request: Any, call: Call) -> Reply:
        if not await asked(request, call):
            caller = call.caller.subject or "an anonymous caller"
            raise PermissionDeniedError(
                f"{caller} may not call {call.method.full_name} here",
                metadata={"caller": caller, "method": call.method.full_name},
            )
        return await finished(following(request, call))

    def link(following: Handler, request: Any, call: Call) -> Answer:
        return following(request, call) if policy is None else ask(policy, following, request, call)

    return link
