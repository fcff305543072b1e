"""How pages of the admin port are written: text, JSON, and lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from entresol.transport.web.exchange import JSON, Response

_FRESH = ("cache-control", "no-store")


def plain(status: int, text: str) -> Response:
    """Return text."""
    return Response(status, [("content-type", "text/plain; charset=utf-8"), _FRESH], text.encode())


def as_json(value: object, status: int = 200) -> Response:
    """Return one value, to be read by people, too."""
    body = json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n"
    return Response(status, [("content-type", JSON), _FRESH], body.encode())


def as_lines(values: Iterable[object], status: int = 200) -> Response:
    """Return one value in each line."""
    body = "".join(json.dumps(value, default=str, ensure_ascii=False) + "\n" for value in values)
    return Response(status, [("content-type", "application/x-ndjson"), _FRESH], body.encode())
