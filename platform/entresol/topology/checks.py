"""How HAProxy asks a server how it is, where it has no words for it: whole messages, byte by byte."""

from __future__ import annotations

import struct

# HTTP/2 (RFC 9113, RFC 7541): what a client says first, and frames of stream 1.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
# Of HPACK's static table: `:method: POST`, `:scheme: http`; then names of it with values, none of them remembered.
_POST, _HTTP = b"\x83", b"\x86"
_AUTHORITY, _PATH, _CONTENT_TYPE = b"\x01", b"\x04", b"\x0f\x10"
_NEW_NAME = b"\x00"
_PROTOCOL = 196608  # of PostgreSQL: 3.0
_READY = "5a0000000549"  # ReadyForQuery, in no transaction
_SERVING = "00000000020801"
_ANSWERED = "0000000002080[0-3]"


def grpc_health() -> list[str]:
    """Return the check of the whole server by `grpc.health.v1.Health/Check`.

    Its second look at one answer must not wait for more: NOT_SERVING would then be found out by a time-out.
    """
    headers = b"".join(
        [
            *(_POST, _HTTP, _PATH, _text(b"/grpc.health.v1.Health/Check"), _AUTHORITY, _text(b"haproxy")),
            *(_CONTENT_TYPE, _text(b"application/grpc"), _NEW_NAME, _text(b"te"), _text(b"trailers")),
        ]
    )
    call = _frame(_HEADERS, _END_HEADERS, headers) + _frame(_DATA, _END_STREAM, bytes(5))
    return [
        "option tcp-check",
        "tcp-check connect",
        f"tcp-check send-binary {_PREFACE.hex()}",
        f"tcp-check send-binary {_frame(_SETTINGS, 0, b'', stream=0).hex()}",
        f"tcp-check send-binary {call.hex()}",
        f"tcp-check expect rbinary {_ANSWERED}",
        f"tcp-check expect min-recv 1 binary {_SERVING}",
    ]


def readiness() -> list[str]:
    """Return the check of `/readyz`: 200 is ready, 404 finishes what it has, anything else is down."""
    return [
        "option httpchk",
        "http-check connect proto h1",  # not HTTP/2, as calls; `check-proto` of a default-server changes nothing
        "http-check send meth GET uri /readyz",
        "http-check disable-on-404",
        "http-check expect status 200",
    ]


def patroni(path: str) -> list[str]:
    """Return the check by Patroni's REST API."""
    return [f"option httpchk OPTIONS {path}", "http-check expect status 200"]


def sql(role: str, database: str, lag_s_max: float, wanted: str) -> list[str]:
    """Return the check that asks PostgreSQL itself whether it is a `primary`, or a `replica` that is near enough.

    A replica that has replayed all that it received is near, whoever sends it no more: while the primary is away all
    would lag, and nobody would answer reads.
    """
    startup = struct.pack("!i", _PROTOCOL) + b"".join(
        word.encode() + b"\0"
        for word in ("user", role, "database", database, "application_name", "haproxy", "")
    )
    query = (
        "SELECT 'role=' || CASE WHEN NOT pg_is_in_recovery() THEN 'primary' "
        "WHEN pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() THEN 'replica' "
        f"WHEN now() - pg_last_xact_replay_timestamp() <= interval '{lag_s_max:g} s' THEN 'replica' "
        "ELSE 'lagging' END"
    )
    return [
        "option tcp-check",
        "tcp-check connect",
        f"tcp-check send-binary {_sized(startup).hex()}",
        f"tcp-check expect binary {_READY}",
        f"tcp-check send-binary {_message(b'Q', query.encode() + bytes(1)).hex()}",
        "tcp-check expect rstring role=(primary|replica|lagging)",
        f"tcp-check expect min-recv 1 string role={wanted}",
        f"tcp-check send-binary {_message(b'X', b'').hex()}",
    ]


def _frame(kind: int, flags: int, payload: bytes, *, stream: int = 1) -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _text(text: bytes) -> bytes:
    assert len(text) < 127, "a longer one would need a longer length"
    return bytes([len(text)]) + text


def _message(kind: bytes, payload: bytes) -> bytes:
    return kind + _sized(payload)


def _sized(payload: bytes) -> bytes:
    return struct.pack("!i", len(payload) + 4) + payload
