"""/metrics: what the instruments have counted, as Prometheus and OpenMetrics have it."""

from __future__ import annotations

import asyncio

from entresol.collection import collected
from entresol.exposition import encode, families_of
from entresol.transport.web.exchange import Request, Response


async def figures(request: Request) -> Response:
    """Return every instrument. What it costs is mostly the text, which is written in a thread."""
    data = collected()
    accept = request.headers.get("accept", "")
    body, content_type = await asyncio.to_thread(lambda: encode(families_of(data), accept))
    return Response(200, [("content-type", content_type)], body)
