"""What a client must not be shown less than, as a token that it carries: its own writes, in every process."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from entresol.cache.entry import Entry, Rank
from entresol.cache.keys import Key
from entresol.errors import InvalidArgumentError

RECENT_MAX = 16
TOKEN_BYTES_MAX = 2048
_FORMAT = 1
_FIELD = "entresol-session"


@dataclass(frozen=True, slots=True)
class Recent:
    """A record that the session wrote: `order` is its version and rank as one number.

    The record reflects every change of it up to `position`, and committed before `lsn`.
    """

    key_hash: int
    order: int
    position: int
    lsn: int


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that a session depends on was committed at or before `lsn`.

    For a record in `recent`, having that version is enough, so that a client sees its write in the cache
    before the relay has. That holds only while the session depends on no other change of the record: those
    are all at or before `floor`, and a recent record whose `position` is below it no longer counts.
    """

    lsn: int = 0
    floor: int = 0
    recent: tuple[Recent, ...] = ()

    def wrote(self, key: Key, version: int, rank: Rank, position: int, lsn: int) -> Session:
        """Return the session after a write; `position` was read under the row's lock, `lsn` after the commit."""
        return self.merge(Session(lsn, 0, (Recent(key_hash(key), _order(version, rank), position, lsn),)))

    def after(self, lsn: int) -> Session:
        """Return the session after something that committed at or before `lsn` and is not in `recent`."""
        return self.merge(Session(lsn, lsn))

    def merge(self, other: Session) -> Session:
        """Return the session that depends on all that either does."""
        floor = max(self.floor, other.floor)
        newest: dict[int, Recent] = {}
        for recent in (*self.recent, *other.recent):
            known = newest.get(recent.key_hash)
            if known is None or recent.order > known.order:
                newest[recent.key_hash] = recent
        kept = sorted(newest.values(), key=lambda recent: recent.lsn)
        for recent in kept[:-RECENT_MAX]:
            floor = max(floor, recent.lsn)
        return Session(
            max(self.lsn, other.lsn),
            floor,
            tuple(recent for recent in kept[-RECENT_MAX:] if recent.position >= floor),
        )

    def satisfied_by(self, entry: Entry, key: Key) -> bool:
        """Tell whether the entry may be shown to this session."""
        if entry.watermark >= self.lsn or entry.asof >= self.lsn:
            return True
        return self.has_version(key, entry.version, entry.rank)

    def has_version(self, key: Key, version: int, rank: Rank) -> bool:
        """Tell whether this version is all that the session depends on of this record."""
        if not self.recent:
            return False
        wanted = key_hash(key)
        return any(
            recent.key_hash == wanted and _order(version, rank) >= recent.order for recent in self.recent
        )

    def encode(self) -> str:
        """Return the token: base64url, empty for an empty session."""
        if not self.lsn:
            return ""
        data = bytearray((_FORMAT,))
        for number in (self.lsn, self.floor):
            data += _varint(number)
        for recent in self.recent:
            data += recent.key_hash.to_bytes(8, "big")
            for number in (recent.order, max(self.lsn - recent.position, 0), max(self.lsn - recent.lsn, 0)):
                data += _varint(number)
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    @classmethod
    def decode(cls, token: str) -> Session:
        """Return the session of a token; of one in a newer format, an empty session.

        Raises:
            InvalidArgumentError: the text was never a token.
        """
        if not token:
            return EMPTY
        data = _bytes_of(token)
        if data[0] > _FORMAT:
            return EMPTY
        try:
            return _read(data)
        except IndexError as error:
            raise _garbage() from error


EMPTY = Session()


def key_hash(key: Key) -> int:
    """Return the record's name in tokens."""
    return int.from_bytes(hashlib.blake2b(f"{key.table}:{key.name}".encode(), digest_size=8).digest(), "big")


def _order(version: int, rank: Rank) -> int:
    return version << 1 | (rank is Rank.ABSENT)


def _garbage() -> InvalidArgumentError:
    return InvalidArgumentError.of(
        _FIELD, "not a session token; send what an earlier reply carried, or nothing"
    )


def _bytes_of(token: str) -> bytes:
    if len(token) > TOKEN_BYTES_MAX:
        raise _garbage()
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _garbage() from error
    if not data or data[0] == 0:
        raise _garbage()
    return data


def _read(data: bytes) -> Session:
    lsn, at = _number(data, 1)
    floor, at = _number(data, at)
    recent: list[Recent] = []
    while at < len(data):
        hashed = int.from_bytes(data[at : at + 8], "big")
        order, at = _number(data, at + 8)
        behind, at = _number(data, at)
        since, at = _number(data, at)
        recent.append(Recent(hashed, order, lsn - behind, lsn - since))
    if lsn >> 64 or floor > lsn or len(recent) > RECENT_MAX or any(item.position < 0 for item in recent):
        raise _garbage()
    return Session(lsn, floor, tuple(recent))


def _varint(number: int) -> bytes:
    data = bytearray()
    while number > 127:
        data.append(number & 127 | 128)
        number >>= 7
    data.append(number)
    return bytes(data)


def _number(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while data[at] & 128:
        number |= (data[at] & 127) << shift
        shift += 7
        at += 1
    return number | data[at] << shift, at + 1
