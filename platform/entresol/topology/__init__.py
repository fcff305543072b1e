"""MODEL -> BALANCER: the HAProxy configuration that puts several servers of everything behind local ports. Pure."""

from entresol.topology.haproxy import configuration
from entresol.topology.servers import Endpoint, endpoints
from entresol.topology.settings import DatabaseCheck, Databases, Listen, Platforms, Topology

__all__ = [
    "DatabaseCheck",
    "Databases",
    "Endpoint",
    "Listen",
    "Platforms",
    "Topology",
    "configuration",
    "endpoints",
]
