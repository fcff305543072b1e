"""One HTTP exchange, free of any wire: what a client asks, and what it is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field

from entresol.errors import Code

JSON, PROTO = "application/json", "application/proto"

# Name and HTTP status of each code: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto, and the
# same in Connect's protocol.
_CODES = (
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
)


def code_of(number: int) -> tuple[str, int]:
    """Return the name and the HTTP status of a code; of one that is not known, those of UNKNOWN."""
    return _CODES[number if 0 < number < len(_CODES) else Code.UNKNOWN]


Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Request:
    """What a client asks. Header names are in lower case; of one that comes several times, the values with commas."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """Return the media type of the body, without parameters."""
        text = self.headers.get("content-type")
        return text.partition(";")[0].strip().lower() if text else ""


@dataclass(slots=True)
class Response:
    """What it is answered: a body that is there, or one that comes in pieces.

    Until the first piece is there, more may be added to `headers`.
    """

    status: int = 200
    headers: Headers = field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""


# It is there, or awaited; what is awaited may turn out to take longer.
Answer = Response | Awaitable["Answer"]


async def response_of(answer: Answer) -> Response:
    """Return the response once it is there."""
    while not isinstance(answer, Response):
        answer = await answer
    return answer
