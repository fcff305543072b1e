"""Real servers from installed programs, for demo and tests: PostgreSQL primary and replicas, and Redis."""

from entresol.embedded.patroni import PatroniPrograms, find_patroni
from entresol.embedded.postgres import PostgresServer, Primary
from entresol.embedded.redis_server import RedisServer
from entresol.embedded.redis_sets import CacheKind
from entresol.embedded.replica import Replica
from entresol.embedded.servers import EmbeddedServers

__all__ = [
    "CacheKind",
    "EmbeddedServers",
    "PatroniPrograms",
    "PostgresServer",
    "Primary",
    "RedisServer",
    "Replica",
    "find_patroni",
]
