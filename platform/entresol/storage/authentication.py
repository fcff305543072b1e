"""How a client of PostgreSQL proves who it is: clear text, MD5 and SCRAM-SHA-256, as a pure conversation."""

from __future__ import annotations

import hashlib
import struct

from scramp import ScramClient, ScramException

from entresol.errors import ConfigurationError

OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12
_MECHANISM = "SCRAM-SHA-256"


class Authentication:
    """One conversation. `answer` takes each request of the server and returns the password message, if any."""

    def __init__(self, user: str, password: str | None) -> None:
        self._user = user
        self._given = password
        self._scram: ScramClient | None = None
        self.done = False

    def answer(self, request: bytes) -> bytes | None:
        """Return the body of the next password message.

        Raises:
            ConfigurationError: the server wants a password and there is none, or a way that is not supported; or
                the server itself does not know the password, as an impostor would not.
        """
        (kind,) = struct.unpack_from("!i", request)
        if kind == OK:
            # A server that skipped the end of SCRAM has not shown that it knows the password.
            if self._scram is not None and not self.done:
                raise ConfigurationError("the database did not prove that it knows the password")
            self.done = True
            return None
        if kind == CLEARTEXT:
            return self._password().encode() + b"\0"
        if kind == MD5:
            return _md5(self._user, self._password(), request[4:8])
        return self._sasl(kind, request[4:])

    def _sasl(self, kind: int, body: bytes) -> bytes | None:
        try:
            if kind == SASL:
                return self._first(body)
            if kind == SASL_CONTINUE and self._scram is not None:
                self._scram.set_server_first(body.decode())
                return str(self._scram.get_client_final()).encode()
            if kind == SASL_FINAL and self._scram is not None:
                self._scram.set_server_final(body.decode())
                self.done = True
                return None
        except ScramException as error:
            raise ConfigurationError(
                f"the database and this client do not agree on the password: {error}"
            ) from error
        raise ConfigurationError(
            f"the database asks for authentication method {kind}; use a password, scram-sha-256 or trust for this user"
        )

    def _first(self, body: bytes) -> bytes:
        mechanisms = body.rstrip(b"\0").split(b"\0")
        if _MECHANISM.encode() not in mechanisms:
            raise ConfigurationError("the database offers no SCRAM-SHA-256 without channel binding")
        self._scram = ScramClient([_MECHANISM], self._user, self._password())
        first = str(self._scram.get_client_first()).encode()
        return _MECHANISM.encode() + b"\0" + struct.pack("!i", len(first)) + first

    def _password(self) -> str:
        if self._given is None:
            raise ConfigurationError(
                f"the database asks for the password of {self._user} and its URL has none"
            )
        return self._given


def _md5(user: str, password: str, salt: bytes) -> bytes:
    """PostgreSQL's own use of MD5, which old servers still ask for."""
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
    return b"md5" + outer.encode() + b"\0"
