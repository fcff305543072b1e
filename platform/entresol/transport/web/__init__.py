"""The web's wires over the method table: Connect, gRPC-Web, REST and JSON, on a port of their own."""

from entresol.transport.web.server import WebServer

__all__ = ["WebServer"]
