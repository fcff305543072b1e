"""gRPC by our own HTTP/2, on a sans-I/O engine: one server, many connections, a stream for each call."""

from entresol.transport.http2.server import Http2Server

__all__ = ["Http2Server"]
