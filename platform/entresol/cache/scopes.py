"""Which lists a changed row belongs to: a model's scopes, alike for the relay that stamps them and for every reader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from entresol.cache.feed import RowChange
from entresol.cache.keys import Layout, Place
from entresol.schema.list_scopes import columns_of, touched
from entresol.schema.model import Resource


@dataclass(frozen=True, slots=True)
class Scopes:
    """The resources that have list scopes, by their tables.

    `digest` changes when any scope does: what a relay with other scopes has stamped says nothing of these.
    """

    resources: Mapping[str, Resource]
    digest: bytes

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Self:
        """Return the scopes of these resources, in whatever order."""
        scoped = {_bare(resource.table): resource for resource in resources if resource.list_scopes}
        texts = sorted(
            repr((table, resource.has_parent, columns_of(resource, scope)))
            for table, resource in scoped.items()
            for scope in resource.list_scopes
        )
        digest = hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest().encode()
        return cls(scoped, digest if texts else b"")

    def touched(self, change: RowChange, layout: Layout) -> Iterator[Place]:
        """Yield the place of every scope that the change touches, perhaps repeatedly.

        Where a value is not known, because the replica identity lacks a column of the scope, these are the places that
        stand for all scopes.
        """
        resource = self.resources.get(_bare(change.table))
        if resource is None:
            return
        for pins in touched(resource, change.new, change.old):
            if pins is None:
                yield from layout.all_scopes
            else:
                yield layout.scope(resource.table, pins)


def _bare(table: str) -> str:
    return table.removeprefix("public.")


NO_SCOPES = Scopes.of(())
