"""The one method of the graph that is not standard: how many edges begin at an object."""

from __future__ import annotations

from typing import Any

import entresol

COUNT = "SELECT count(*) FROM edges WHERE source = $1"


@entresol.method("tao.v1.TaoService.CountEdges")
async def count_edges(request: Any, context: entresol.Context) -> Any:
    """Count them on the primary: no cache has the number."""
    async with context.transaction() as transaction:
        ((count,),) = await transaction.fetch(COUNT, request.source)
    return context.new("tao.v1.CountEdgesResponse", count=count)
