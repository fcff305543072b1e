"""What the balancer is told: where it listens, what stands behind it, and how each is asked how it is."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field

from entresol.errors import ConfigurationError
from entresol.topology.servers import Endpoint

_SIZE = re.compile(r"[0-9]+([kMG]?B)?")


class DatabaseCheck(enum.Enum):
    """Who knows which server of the database is the primary, and which replica is near enough."""

    PATRONI = "patroni"  # its REST API, which holds the leader's lock
    SERVICE = "service"  # an operator, as of CloudNativePG: one name for the primary, one for the replicas
    SQL = "sql"  # the servers themselves, who cannot tell whether another one was promoted meanwhile


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the balancer listens: nobody but its own machine should reach the first three."""

    platform: str = "127.0.0.1:9000"
    reads: str = "127.0.0.1:9001"
    writes: str = "127.0.0.1:9002"
    admin: str = "127.0.0.1:8404"


@dataclass(frozen=True, slots=True)
class Platforms:
    """Servers of the platform: named ones, or as many (`slots_max` at most) as one name leads to.

    They are asked by gRPC's health check, or with `admin_port` at `/readyz` of that port, which tells one that drains
    from one that is broken.
    """

    servers: tuple[Endpoint, ...]
    discovered: bool = False
    slots_max: int = 20
    admin_port: int = 0


@dataclass(frozen=True, slots=True)
class Databases:
    """Servers of PostgreSQL. With `SERVICE` they are two names: the primary's and the replicas'."""

    servers: tuple[Endpoint, ...]
    check: DatabaseCheck
    check_port: int = 8008  # of Patroni
    lag_s_max: float = 2.0  # of a replica that answers reads, by SQL
    lag_size_max: str = "1MB"  # the same, by Patroni
    role: str = "haproxy_check"  # that may log in from the balancer without a password, by SQL
    database: str = "postgres"

    def __post_init__(self) -> None:
        """Refuse what no configuration can be made of."""
        if self.check is DatabaseCheck.SERVICE and len(self.servers) != 2:
            raise ConfigurationError(
                "the databases of an operator are two names: that of the primary, then that of the replicas"
            )
        if not _SIZE.fullmatch(self.lag_size_max):
            raise ConfigurationError(f"{self.lag_size_max!r} is no size: write a number with kB, MB or GB")


@dataclass(frozen=True, slots=True)
class Topology:
    """One balancer. What is None, or has no servers, is not in its configuration.

    `call_s_max` is the longest that a call may take, `stream_s_max` the longest silence of a stream.
    """

    platforms: Platforms | None = None
    databases: Databases | None = None
    listen: Listen = field(default_factory=Listen)
    call_s_max: float = 60.0
    stream_s_max: float = 3600.0
    socket: str = ""  # of the runtime API: a file

    def __post_init__(self) -> None:
        """Refuse what would be several words of the configuration."""
        if re.search(r"[\s\"'#\\\\]", self.socket):
            raise ConfigurationError(
                f"the name of the socket is to have no blanks or quotes: {self.socket!r}"
            )
