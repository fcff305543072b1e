"""Connections as the setting `cache_url` asks for them."""

from __future__ import annotations

from collections.abc import Callable

from entresol.cache.address import parse
from entresol.cache.breaker import Breaker
from entresol.cache.cluster import Cluster
from entresol.cache.connection import Connection
from entresol.cache.scripts import Scripts


def open_connection(
    url: str,
    *,
    timeout_s: float,
    breaker: Callable[[], Breaker] = Breaker.never,
    scripts: Scripts | None = None,
) -> Connection:
    """Return a connection, which connects with its first command; each server gets a breaker.

    Raises:
        ConfigurationError: the URL says nothing that can be understood.
    """
    addresses = parse(url)
    if addresses.kind == "cluster":
        return Cluster(addresses, timeout_s=timeout_s, breaker=breaker, scripts=scripts)
    return Connection(addresses, timeout_s=timeout_s, breaker=breaker(), scripts=scripts)
