"""Where things are kept: the partition, bucket and key of every record, computed alike by every process."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """A record, as the database knows it. `table` carries its schema unless that is `public`."""

    table: str
    name: str

    @classmethod
    def of(cls, table: str, name: str) -> Key:
        """Return the key of a row in `table`, with or without `public.`."""
        return cls(table.removeprefix("public."), name)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cache keeps a record. `bucket` and `floor` are fields of the partition's hash.

    Its changes move the one, and the other is where changes of its table that were not named begin to count.
    """

    partition: int
    bucket: bytes
    entry: bytes
    lease: bytes
    floor: bytes


class Layout:
    """The keys of one cache.

    Per partition `{<prefix>:<partition>}:meta`, `...:fences`, `...:changes`, `...:e:<table>:<name>`,
    `...:l:<table>:<name>`, `...:q:<digest>`; `<prefix>:relay`.

    All keys of a partition share the part in braces, so that one script may touch them wherever a cluster
    puts them. Every process of a fleet must have the same prefix, partitions and buckets.
    """

    def __init__(self, prefix: str, partitions: int, buckets: int) -> None:
        self.partitions = partitions
        self.relay = f"{prefix}:relay".encode()
        self._buckets = buckets
        tags = [f"{{{prefix}:{partition}}}" for partition in range(partitions)]
        self._metas = tuple(f"{tag}:meta".encode() for tag in tags)
        self._fences = tuple(f"{tag}:fences".encode() for tag in tags)
        self._streams = tuple(f"{tag}:changes".encode() for tag in tags)
        self._entries = tuple(f"{tag}:e:".encode() for tag in tags)
        self._prefix = f"{{{prefix}:".encode()
        self._leases = tuple(f"{tag}:l:".encode() for tag in tags)
        self._lists = tuple(f"{tag}:q:".encode() for tag in tags)
        # What moves `lists` instead of one scope's stamp makes every list of the partition stale.
        self.all_scopes = tuple(Place(partition, b"lists", b"", b"", b"") for partition in range(partitions))
        self.place = functools.lru_cache(maxsize=16384)(self._place)

    def meta(self, partition: int) -> bytes:
        """Return the key of the partition's hash.

        It holds W, g, base, database, step, floor, `m:<bucket>` of buckets that moved, and `f:<table>`.
        """
        return self._metas[partition]

    def fences(self, partition: int) -> bytes:
        """Return the key of the partition's fences: by entry key, stamp, position and expiry of each."""
        return self._fences[partition]

    def stream(self, partition: int) -> bytes:
        """Return the key of the stream that tells what the relay changed."""
        return self._streams[partition]

    def floor(self, table: str) -> bytes:
        """Return the field of the table's floor in the hash of every partition."""
        return f"f:{table.removeprefix('public.')}".encode()

    @property
    def pattern(self) -> bytes:
        """Return the glob that every entry's key matches, and few others."""
        return re.sub(rb"([\\*?\[\]])", rb"\\\1", self._prefix) + b"*}:e:*"

    def key(self, entry: bytes) -> Key | None:
        """Return the record whose entry has this key; None when it is not where this layout keeps the record."""
        _, _, identity = entry.partition(b"}:e:")
        table, _, name = identity.decode(errors="replace").partition(":")
        return Key(table, name) if self._place(table, name).entry == entry else None

    def scope(self, table: str, pins: Sequence[str]) -> Place:
        """Return the place of a list scope: it has a bucket of its own kind, `s:<bucket>`, and no entry."""
        identity = "\n".join((table.removeprefix("public."), *pins)).encode()
        bucket, partition = divmod(zlib.crc32(identity), self.partitions)
        return Place(partition, b"s:%d" % (bucket % self._buckets), b"", b"", self.floor(table))

    def list_key(self, scope: Place, digest: bytes) -> bytes:
        """Return the key of the list of this query, beside its scope."""
        return self._lists[scope.partition] + digest

    def _place(self, table: str, name: str) -> Place:
        identity = f"{table.removeprefix('public.')}:{name}".encode()
        number = zlib.crc32(identity)
        bucket, partition = divmod(number, self.partitions)
        return Place(
            partition,
            b"m:%d" % (bucket % self._buckets),
            self._entries[partition] + identity,
            self._leases[partition] + identity,
            self.floor(table),
        )
