"""gRPC's health protocol for a process that serves nothing else: it answers for as long as the event loop goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from google.protobuf.descriptor_pool import DescriptorPool

from entresol.clock import Clock
from entresol.config import Settings
from entresol.schema.model import Model
from entresol.transport.http2 import Http2Server


@asynccontextmanager
async def open_health(settings: Settings, listen: str) -> AsyncIterator[Http2Server]:
    """Give a server at `listen` that is healthy while the block lasts; it speaks no TLS, as probes do not.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    plain = replace(settings, listen=listen, tls_certificate="", tls_key="", tls_client_ca="")
    server = Http2Server({}, Model({}, {}, DescriptorPool()), plain, Clock())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
