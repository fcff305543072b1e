"""The chain of links around every method, composed once at start."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

from entresol.service.call import Handler, Link


def compose(links: Sequence[Link], handler: Handler) -> Handler:
    """Return a handler that goes through `links`, the first outermost, to `handler`."""
    return reduce(lambda inner, link: partial(link, inner), reversed(links), handler)
