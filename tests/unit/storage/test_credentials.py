"""What a database URL says about who connects, and how a password is proven without being told."""

from __future__ import annotations

import getpass
import struct

import pytest
from scramp import ScramMechanism

from entresol.errors import ConfigurationError
from entresol.storage.authentication import (
    CLEARTEXT,
    MD5,
    OK,
    SASL,
    SASL_CONTINUE,
    SASL_FINAL,
    Authentication,
)
from entresol.storage.credentials import Credentials, read_credentials


def request(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("!i", kind) + body


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://ann:s%40%2Fcret@db:5432/app", ("ann", "s@/cret", "app", "prefer")),
        ("postgres://ann@one,two:5433/app?sslmode=verify-full", ("ann", None, "app", "verify-full")),
        ("postgresql:///app?host=/run/postgresql&user=bob&password=x", ("bob", "x", "app", "prefer")),
        ("postgresql://ann@db", ("ann", None, "ann", "prefer")),
        ("postgresql://db/app%20two?application_name=x", (getpass.getuser(), None, "app two", "prefer")),
        ("postgresql://ann:a:b@db/?dbname=c&sslmode=disable", ("ann", "a:b", "c", "disable")),
    ],
)
def test_a_url_is_read_as_other_clients_read_it(url: str, expected: tuple[str, str | None, str, str]) -> None:
    read = read_credentials(url)
    assert (read.user, read.password, read.database, read.ssl_mode) == expected


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://db", "must look like postgresql://"),
        ("postgresql://db?sslmode=maybe", "sslmode=maybe of the database URL is not one of disable, allow, "),
        (
            "postgresql://db?krbsrvname=x",
            "parameter krbsrvname of the database URL is not supported for replication",
        ),
    ],
)
def test_what_cannot_be_honoured_is_said(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read_credentials(url)


def test_what_is_no_ones_is_a_setting_of_the_session() -> None:
    read = read_credentials("postgresql://db?sslmode=require&target_session_attrs=primary&work_mem=1MB")
    assert read.settings == (("work_mem", "1MB"),)


def test_a_password_is_never_printed() -> None:
    assert "secret" not in repr(read_credentials("postgresql://ann:secret@db/app"))


@pytest.mark.parametrize(
    ("mode", "verified", "named"),
    [
        ("prefer", False, False),
        ("require", False, False),
        ("verify-ca", True, False),
        ("verify-full", True, True),
    ],
)
def test_a_certificate_is_verified_as_the_mode_says(mode: str, verified: bool, named: bool) -> None:
    context = read_credentials(f"postgresql://db?sslmode={mode}").tls()
    assert context is not None
    assert bool(context.verify_mode) is verified
    assert context.check_hostname is named
    assert Credentials("ann", None, "app", "disable").tls() is None


def test_a_clear_password_and_an_md5_one() -> None:
    authentication = Authentication("ann", "secret")
    assert authentication.answer(request(CLEARTEXT)) == b"secret\0"
    assert (
        authentication.answer(request(MD5, b"\x01\x02\x03\x04")) == b"md59009ce60b9ca97f1e752376843d1309e\0"
    )
    assert authentication.answer(request(OK)) is None


def scram(user_password: str, server_password: str) -> None:
    """Sign on to a server that knows `server_password`."""
    mechanism = ScramMechanism("SCRAM-SHA-256")
    salt, stored, server_key, iterations = mechanism.make_auth_info(server_password)
    server = mechanism.make_server(lambda user: (salt, stored, server_key, iterations))
    client = Authentication("ann", user_password)
    first = client.answer(request(SASL, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
    assert first is not None
    name, _, rest = first.partition(b"\0")
    assert name == b"SCRAM-SHA-256"
    server.set_client_first(rest[4:].decode())
    final = client.answer(request(SASL_CONTINUE, server.get_server_first().encode()))
    assert final is not None
    server.set_client_final(final.decode())
    assert client.answer(request(SASL_FINAL, server.get_server_final().encode())) is None
    assert client.answer(request(OK)) is None


def test_scram_proves_the_password() -> None:
    scram("secret", "secret")


@pytest.mark.parametrize(
    ("before", "last", "problem"),
    [
        ([request(SASL, b"SCRAM-SHA-256\0\0")], request(OK), "did not prove that it knows the password"),
        ([], request(SASL, b"OTHER\0\0"), "offers no SCRAM-SHA-256"),
        (
            [request(SASL, b"SCRAM-SHA-256\0\0")],
            request(SASL_CONTINUE, b"r=other,s=c2FsdA==,i=4096"),
            "do not agree",
        ),
        ([], request(7), "asks for authentication method 7"),
        ([], request(SASL_FINAL, b"v=x"), "asks for authentication method 12"),
    ],
)
def test_a_server_that_does_not_keep_to_it_is_refused(before: list[bytes], last: bytes, problem: str) -> None:
    client = Authentication("ann", "secret")
    for each in before:
        client.answer(each)
    with pytest.raises(ConfigurationError, match=problem):
        client.answer(last)


def test_a_password_that_is_missing_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="asks for the password of ann and its URL has none"):
        Authentication("ann", None).answer(request(CLEARTEXT))
