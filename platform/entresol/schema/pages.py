"""Page tokens (AIP-158): where the next page begins, sealed so that callers can neither read nor make one.

A token is 16 bytes of HMAC-SHA256 over the query's hash and the values, and the values hidden by a stream
of SHAKE-256 keyed by that HMAC (the synthetic-IV construction of RFC 5297): equal tokens come from equal
pages of equal queries, and nothing else can be learned or forged without the key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from entresol.errors import PageTokenError, Violation

KEY_BYTES_MIN = 16
_TAG_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LENGTH = struct.Struct(">I")
_DOUBLE = struct.Struct(">d")
_FOREIGN = "is not a token of this query; begin again without a page token"


class PageTokens:
    """Makes page tokens with the first key and reads those of any; every server of a fleet needs the same keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) < KEY_BYTES_MIN for key in keys):
            raise ValueError(f"each key needs at least {KEY_BYTES_MIN} bytes, and there must be one")
        self._seals = [_Seal(_derived(key, b"seal"), _derived(key, b"hide")) for key in keys]

    def issue(self, values: Sequence[object], query_hash: bytes) -> str:
        """Return the token of the page that begins after `values`.

        Values are str, int, float, bool, bytes, None, aware datetime and timedelta; TypeError for others.
        """
        content = pack(values)
        sealed = self._seals[0].close(content, query_hash)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def read(self, token: str, query_hash: bytes) -> tuple[object, ...]:
        """Return the values that `issue` was given.

        Raises:
            PageTokenError: the token was made with none of the keys, or for a query of another hash.
        """
        sealed = _decoded(token)
        for seal in self._seals:
            content = seal.open(sealed, query_hash)
            if content is not None:
                return unpack(content)
        raise _foreign()


@dataclass(frozen=True, slots=True)
class _Seal:
    """One key's two halves."""

    seal_key: bytes
    hide_key: bytes

    def close(self, content: bytes, query_hash: bytes) -> bytes:
        tag = self._tag(content, query_hash)
        return tag + self._masked(content, tag)

    def open(self, sealed: bytes, query_hash: bytes) -> bytes | None:
        """Return the content, or None when it was not closed with this key for this query."""
        tag, hidden = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        content = self._masked(hidden, tag)
        return content if hmac.compare_digest(tag, self._tag(content, query_hash)) else None

    def _tag(self, content: bytes, query_hash: bytes) -> bytes:
        return hmac.digest(self.seal_key, _framed(query_hash) + content, "sha256")[:_TAG_BYTES]

    def _masked(self, content: bytes, tag: bytes) -> bytes:
        stream = hashlib.shake_256(self.hide_key + tag).digest(len(content))
        mixed = int.from_bytes(content, "big") ^ int.from_bytes(stream, "big")
        return mixed.to_bytes(len(content), "big")


def query_hash(method_path: str, *parts: object) -> bytes:
    """Return what all pages of one query share: the method, and every argument but page_size and page_token.

    Parts are str, bool, int or None: parent, filter, order_by, show_deleted, and the caller where rows
    depend on it.
    """
    content = b"".join(_framed(_encode(part)) for part in (method_path, *parts))
    return hashlib.sha256(content).digest()


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"entresol page token: " + purpose, "sha256")


def _framed(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _foreign() -> PageTokenError:
    return PageTokenError([Violation("page_token", _FOREIGN, PageTokenError.reason)])


def _decoded(token: str) -> bytes:
    padded = token + "=" * (-len(token) % 4)
    try:
        sealed = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _foreign() from None
    if len(sealed) < _TAG_BYTES:
        raise _foreign()
    return sealed


def _encode(value: object) -> bytes:
    """Return one value as a letter for its type, its length and its bytes."""
    match value:
        case None:
            return _record(b"n", b"")
        case bool():
            return _record(b"t" if value else b"f", b"")
        case str():
            return _record(b"s", value.encode())
        case bytes():
            return _record(b"b", value)
        case int():
            return _record(b"i", str(value).encode())
        case float():
            return _record(b"d", _DOUBLE.pack(value))
        case datetime():
            return _record(b"a", str((value - _EPOCH) // _MICROSECOND).encode())
        case timedelta():
            return _record(b"u", str(value // _MICROSECOND).encode())
    raise TypeError(f"a page token cannot hold a {type(value).__name__}")


def _record(letter: bytes, content: bytes) -> bytes:
    return letter + _framed(content)


def pack(values: Sequence[object]) -> bytes:
    """Return the values of a page's end as bytes, of the types that `PageTokens.issue` takes."""
    return b"".join(map(_encode, values))


def unpack(content: bytes) -> tuple[object, ...]:
    """Return the values that `pack` was given."""
    values: list[object] = []
    at = 0
    while at < len(content):
        start = at + 1 + _LENGTH.size
        (length,) = _LENGTH.unpack(content[at + 1 : start])
        values.append(_decode(content[at : at + 1], content[start : start + length]))
        at = start + length
    return tuple(values)


def _decode(letter: bytes, content: bytes) -> object:
    match letter:
        case b"n":
            return None
        case b"t" | b"f":
            return letter == b"t"
        case b"s":
            return content.decode()
        case b"i":
            return int(content)
        case b"d":
            return float(_DOUBLE.unpack(content)[0])
        case b"a":
            return _EPOCH + int(content) * _MICROSECOND
        case b"u":
            return int(content) * _MICROSECOND
    return content
