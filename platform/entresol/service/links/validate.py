"""The validate link: every rule that the request alone can break, reported at once."""

from __future__ import annotations

from typing import Any

from entresol.errors import InvalidArgumentError
from entresol.schema.checks import RequestCheck, clear_output_only
from entresol.service.call import Call, Handler, Link, Reply


def validate(check: RequestCheck) -> Link:
    """Return the link for one method's compiled checks; what only the server writes is cleared first."""

    async def link(following: Handler, request: Any, call: Call) -> Reply:
        clear_output_only(request)
        violations = check.violations(request)
        if violations:
            raise InvalidArgumentError(violations)
        return await following(request, call)

    return link
