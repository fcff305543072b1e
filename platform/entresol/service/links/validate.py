"""The validate link: every rule that the request alone can break, reported at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message

from entresol.errors import InvalidArgumentError
from entresol.schema.checks import RequestCheck
from entresol.service.call import Answer, Call, Handler, Link


def validate(check: RequestCheck) -> Link:
    """Return the link for one method's compiled checks."""

    def valid(request: Message) -> Message:
        violations = check.violations(request)
        if violations:
            raise InvalidArgumentError(violations)
        return request

    async def each(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for request in requests:
            yield valid(request)

    def link(following: Handler, request: Any, call: Call) -> Answer:
        return following(each(request) if call.method.client_streaming else valid(request), call)

    return link
