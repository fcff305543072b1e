"""A stage for random histories: the one of the races, on servers of its own."""

from tests.integration.cache.conftest import (
    items,
    items_cache_url,
    open_stage,
    own_cache_numbers,
    own_databases,
    own_servers,
)

__all__ = ["items", "items_cache_url", "open_stage", "own_cache_numbers", "own_databases", "own_servers"]
