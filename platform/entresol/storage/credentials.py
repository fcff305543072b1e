"""Who connects, to which database and how securely: what a `postgresql://` URL says beside its servers. Pure."""

from __future__ import annotations

import getpass
import os
import ssl
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from entresol.errors import ConfigurationError

SslMode: TypeAlias = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
# Parameters that say where the server is, or that the replication connection sets itself.
_ELSEWHERE = frozenset({"host", "port", "target_session_attrs", "application_name"})
# Those that asyncpg understands and this client does not; any other is a setting for the server.
_UNSUPPORTED = frozenset(
    (
        *("passfile", "service", "sslcrl", "sslpassword", "sslnegotiation", "krbsrvname", "gsslib"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version"),
    )
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """User, password, database, settings of the session, and how it is secured. Files are PEM."""

    user: str
    password: str | None
    database: str
    ssl_mode: SslMode = "prefer"
    ssl_root_cert: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Leave the password out, whoever prints this."""
        return f"Credentials(user={self.user!r}, database={self.database!r}, ssl_mode={self.ssl_mode!r})"

    def tls(self) -> ssl.SSLContext | None:
        """Return the context that `ssl_mode` asks for; None when the connection stays plain.

        As with every client of PostgreSQL, the server is verified from `verify-ca` on, and for `require` when there
        is a root certificate: `ssl_root_cert`, or the user's own. `verify-*` without one trusts the system's.
        """
        if self.ssl_mode == "disable":
            return None
        try:
            return self._context()
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"a certificate of the database URL cannot be read: {error}") from error

    def _context(self) -> ssl.SSLContext:
        own = os.path.expanduser(
            "~/.postgresql/root.crt"
        )  # unlike Path.home, no error for a user without one
        root = self.ssl_root_cert or (own if os.path.isfile(own) else None)
        context = ssl.create_default_context(cafile=root)
        context.check_hostname = self.ssl_mode == "verify-full"
        if not (self.ssl_mode.startswith("verify") or (root and self.ssl_mode == "require")):
            context.verify_mode = ssl.CERT_NONE
        if self.ssl_cert:
            context.load_cert_chain(self.ssl_cert, self.ssl_key)
        return context


def read_credentials(url: str) -> Credentials:
    """Return what `url` says, with the defaults of PostgreSQL's clients.

    Raises:
        ConfigurationError: it is no such URL, or has a parameter that a replication connection cannot honour.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "a database URL must look like postgresql://user:password@host:5432/database"
        )
    given = {name: value for name, value in parse_qsl(parts.query) if name not in _ELSEWHERE}
    if refused := _UNSUPPORTED & given.keys():
        raise ConfigurationError(
            f"parameter {min(refused)} of the database URL is not supported for replication"
        )
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    user = given.pop("user", "") or unquote(user) or _own_name()
    database = (
        given.pop("dbname", "") or given.pop("database", "") or unquote(parts.path.removeprefix("/")) or user
    )
    return Credentials(
        user,
        given.pop("password", "") or unquote(password) or None,
        database,
        _ssl_mode(given.pop("sslmode", "prefer")),
        given.pop("sslrootcert", None),
        given.pop("sslcert", None),
        given.pop("sslkey", None),
        tuple(given.items()),
    )


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise ConfigurationError("the database URL names no user, and this process has no name") from error


def _ssl_mode(text: str) -> SslMode:
    for mode in get_args(SslMode):
        if mode == text:
            found: SslMode = mode
            return found
    raise ConfigurationError(
        f"sslmode={text} of the database URL is not one of {', '.join(get_args(SslMode))}"
    )
