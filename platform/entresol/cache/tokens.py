"""Session tokens: a session as text that only the platform can make, and that any header or cookie can carry.

A token is base64url of a format byte, 8 bytes of keyed BLAKE2b (RFC 7693) and the session. Those bytes sign the format
and all that follows, in every later format too: what this program cannot read, but is signed, it hands on. Several
tokens are one text with dots or commas between them, and stand for all that any of them does: whoever has two may
simply send both.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence
from functools import reduce
from hashlib import blake2b

from entresol.cache.session import EMPTY, RECENT_MAX, Recent, Session
from entresol.errors import InvalidArgumentError
from entresol.varint import varint

KEY_BYTES_MIN = 16
TOKEN_BYTES_MAX = 2048
_FORMAT = 2
_MAC_BYTES = 8
_FIELD = "entresol-session"
_BETWEEN = re.compile(r"[.,\s]+")


class SessionTokens:
    """Makes tokens with the first key and reads those of any: a new key is put first, and the old one kept.

    Tokens do not expire, so a key that is taken away makes the tokens of users who come back later be refused.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) < KEY_BYTES_MIN for key in keys):
            raise ValueError(f"each key needs at least {KEY_BYTES_MIN} bytes, and there must be one")
        self._keys = tuple(blake2b(key, digest_size=32, person=b"entresol session").digest() for key in keys)

    def encode(self, session: Session) -> str:
        """Return the token of `session`, empty for one that has seen nothing."""
        if not session.lsn:
            return ".".join(session.foreign)
        content = _content(session)
        token = bytes((_FORMAT,)) + _mac(self._keys[0], _FORMAT, content) + content
        return ".".join((base64.urlsafe_b64encode(token).rstrip(b"=").decode(), *session.foreign))

    def decode(self, text: str) -> Session:
        """Return the session of all tokens in `text`; tokens of newer formats are in its `foreign`.

        Raises:
            InvalidArgumentError: something was never a token of this platform.
        """
        if not text:
            return EMPTY
        return reduce(Session.merge, map(self._decode_one, filter(None, _BETWEEN.split(text))), EMPTY)

    def _decode_one(self, token: str) -> Session:
        data = _bytes_of(token)
        format_, mac, content = data[0], data[1 : 1 + _MAC_BYTES], data[1 + _MAC_BYTES :]
        is_ours = any(hmac.compare_digest(mac, _mac(key, format_, content)) for key in self._keys)
        if not is_ours or format_ < _FORMAT:
            raise _garbage()
        if format_ > _FORMAT:
            return Session(foreign=(token,))
        try:
            return _session(content)
        except IndexError as error:
            raise _garbage() from error


def _mac(key: bytes, format_: int, content: bytes) -> bytes:
    return blake2b(bytes((format_,)) + content, digest_size=_MAC_BYTES, key=key).digest()


def _garbage() -> InvalidArgumentError:
    return InvalidArgumentError.of(
        _FIELD, "not a session token of this platform; send what an earlier reply carried, or nothing"
    )


def _bytes_of(token: str) -> bytes:
    if len(token) > TOKEN_BYTES_MAX:
        raise _garbage()
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _garbage() from error
    if not data:
        raise _garbage()
    return data


def _content(session: Session) -> bytes:
    content = bytearray()
    for number in (session.lsn, session.floor):
        content += varint(number)
    for recent in session.recent:
        content += recent.key_hash.to_bytes(8, "big")
        behind, since = session.lsn - recent.position, session.lsn - recent.lsn
        for number in (recent.order, max(behind, 0), max(since, 0)):
            content += varint(number)
    return bytes(content)


def _session(content: bytes) -> Session:
    lsn, at = _number(content, 0)
    floor, at = _number(content, at)
    recent: list[Recent] = []
    while at < len(content):
        hashed = int.from_bytes(content[at : at + 8], "big")
        order, at = _number(content, at + 8)
        behind, at = _number(content, at)
        since, at = _number(content, at)
        recent.append(Recent(hashed, order, lsn - behind, lsn - since))
    if lsn >> 64 or floor > lsn or len(recent) > RECENT_MAX or any(item.position < 0 for item in recent):
        raise _garbage()
    return Session(lsn, floor, tuple(recent))


def _number(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while data[at] & 128:
        number |= (data[at] & 127) << shift
        shift += 7
        at += 1
    return number | data[at] << shift, at + 1
