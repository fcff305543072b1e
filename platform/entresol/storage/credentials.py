"""Who connects, to which database and how securely: what a `postgresql://` URL says beside its servers. Pure."""

from __future__ import annotations

import getpass
import ssl
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from entresol.errors import ConfigurationError

SslMode: TypeAlias = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
# Parameters that say where the server is, or that make no difference to a replication connection.
_ELSEWHERE = frozenset({"host", "port", "target_session_attrs", "application_name", "connect_timeout"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """User, password, database, and how the connection is secured. Files are PEM."""

    user: str
    password: str | None
    database: str
    ssl_mode: SslMode = "prefer"
    ssl_root_cert: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None

    def __repr__(self) -> str:
        """Leave the password out, whoever prints this."""
        return f"Credentials(user={self.user!r}, database={self.database!r}, ssl_mode={self.ssl_mode!r})"

    def tls(self) -> ssl.SSLContext | None:
        """Return the context that `ssl_mode` asks for; None when the connection stays plain.

        Up to `require` the server is not verified unless a root certificate is given, as with every client of
        PostgreSQL. `verify-*` without one trusts the certificates of the system.
        """
        if self.ssl_mode == "disable":
            return None
        try:
            return self._context()
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"a certificate of the database URL cannot be read: {error}") from error

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ssl_root_cert)
        context.check_hostname = self.ssl_mode == "verify-full"
        verify = self.ssl_root_cert is not None and self.ssl_mode == "require"
        if not (verify or self.ssl_mode.startswith("verify")):
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
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    user = given.pop("user", "") or unquote(user) or getpass.getuser()
    database = (
        given.pop("dbname", "") or given.pop("database", "") or unquote(parts.path.removeprefix("/")) or user
    )
    credentials = Credentials(
        user,
        given.pop("password", "") or unquote(password) or None,
        database,
        _ssl_mode(given.pop("sslmode", "prefer")),
        given.pop("sslrootcert", None),
        given.pop("sslcert", None),
        given.pop("sslkey", None),
    )
    if given:
        raise ConfigurationError(
            f"the database URL's parameter {min(given)} is not supported for replication"
        )
    return credentials


def _ssl_mode(text: str) -> SslMode:
    for mode in get_args(SslMode):
        if mode == text:
            found: SslMode = mode
            return found
    raise ConfigurationError(
        f"sslmode={text} of the database URL is not one of {', '.join(get_args(SslMode))}"
    )
