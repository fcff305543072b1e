"""One plain connection to the server that accepts writes, beside the pools: migrations, checks, slots."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

from entresol.errors import ConfigurationError, StoreUnavailableError
from entresol.storage.connections import Connection, addresses
from entresol.storage.sqlstate import DRIVER_ERRORS

CONNECT_TIMEOUT_S = 10.0
COMMAND_TIMEOUT_S = 60.0  # where the statement's own call gives no other
SERVER_VERSION_MIN = 14


@asynccontextmanager
async def connect_primary(url: str, settings: Mapping[str, str] | None = None) -> AsyncIterator[Connection]:
    """Connect to the server of `url` that accepts writes, with these settings of the session.

    Raises:
        StoreUnavailableError: none of its servers is reachable and accepts writes.
        ConfigurationError: the URL or the credentials are wrong, or the server is too old.
    """
    connection = await _connect(url, {"application_name": "entresol", **(settings or {})})
    try:
        major = connection.get_server_version().major
        if major < SERVER_VERSION_MIN:
            raise ConfigurationError(
                f"PostgreSQL {major} is too old; {SERVER_VERSION_MIN} or newer is needed"
            )
        yield connection
    finally:
        connection.terminate()  # cannot block, and ends the session's locks


async def _connect(url: str, settings: dict[str, str]) -> Connection:
    """Ask one server after another: the driver would not go on after one that accepts and then breaks."""
    failure: Exception | None = None
    for address in addresses(url):
        try:
            return await asyncpg.connect(
                url,
                host=address.host,
                port=address.port,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                target_session_attrs=asyncpg.connect_utils.SessionAttribute.primary,
                server_settings=settings,
            )
        except (
            asyncpg.InvalidAuthorizationSpecificationError,
            asyncpg.InvalidCatalogNameError,
            asyncpg.ClientConfigurationError,
        ) as error:
            raise ConfigurationError(f"the database refuses the connection: {error}") from error
        except DRIVER_ERRORS as error:
            failure = error
    hosts = ", ".join(str(address) for address in addresses(url))
    problem = str(failure) or type(failure).__name__
    raise StoreUnavailableError(
        f"no database at {hosts} accepts writes ({problem}): start one, for instance with "
        "`entresol up`, or set ENTRESOL_DATABASE_WRITE"
    ) from failure
