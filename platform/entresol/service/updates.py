"""What an Update changes (AIP-134): quick when columns can simply be set, careful when the old value matters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from entresol.errors import DeletedError, InvalidArgumentError, NotFoundError, StaleEtagError
from entresol.schema import masks
from entresol.schema.checks import RequestCheck
from entresol.schema.masks import Mask
from entresol.schema.model import Behavior, Field, Method, Role
from entresol.schema.shapes import holds
from entresol.service.creation import stamp_uid
from entresol.service.singletons import Inserter
from entresol.service.standard import request_field, resource_of
from entresol.storage.rows import Row
from entresol.storage.transaction import Transaction

# So many masks of one method are remembered, if their paths are short: one may hold the keys of a map.
MASKS_MAX, MASK_CHARACTERS_MAX = 256, 512


@dataclass(frozen=True, slots=True)
class Wish:
    """A record as the caller wants it, what of it is to change, and the version it must still have.

    `fields` are the columns that change. `ensures`: the caller asks that the record is so, whoever made it so; one that
    is so already is left alone.
    """

    wanted: Any
    mask: Mask
    fields: tuple[Field, ...]
    version: int | None
    ensures: bool


class Updater:
    """Changes records of one resource as the requests of its Update method ask."""

    def __init__(self, method: Method, check: RequestCheck, inserter: Inserter) -> None:
        self._resource = resource_of(method)
        self._field = request_field(method)
        self._check = check
        self._inserter = inserter
        self._known = lru_cache(maxsize=MASKS_MAX)(self._parsed)

    def wish(self, request: Any, wanted: Any, version: int | None) -> Wish:
        """Return what `request` asks for; without a mask, the fields that have a value (rule 98)."""
        paths = request.update_mask.paths if "update_mask" in request.DESCRIPTOR.fields_by_name else []
        ensures = getattr(request, "allow_missing", False)
        if paths:
            is_short = sum(map(len, paths)) <= MASK_CHARACTERS_MAX
            mask, fields = (self._known if is_short else self._parsed)(tuple(paths))
        else:
            mask = masks.populated(wanted)
            fields = masks.stored_fields(mask, self._resource)
        return Wish(wanted, mask, fields, version, ensures)

    async def apply(self, transaction: Transaction, wish: Wish) -> Row:
        """Update the record.

        Raises:
            NotFoundError: there is none of this name.
            StaleEtagError: it no longer has the version.
            DeletedError: it is marked as deleted.
            InvalidArgumentError: an immutable field would change, or fields break a rule together.
        """
        if not wish.fields:
            return await self._as_it_is(transaction, wish)
        if self.is_one_statement(wish):
            return await transaction.update(
                self._resource, wish.wanted, wish.fields, version=wish.version, live=True
            )
        row, merged = await self._merged(transaction, wish)
        if wish.ensures and self._is_so(row, merged):
            return row
        fields = tuple(field for field in wish.fields if not field.immutable)
        if not fields:
            return await self._as_it_is(transaction, wish)
        return await transaction.update(self._resource, merged, fields, version=wish.version)

    async def create(self, transaction: Transaction, request: Any, wish: Wish) -> Row:
        """Create the record that was not there, with all its fields (rule 102)."""
        self._check.require(request, creating=True)
        message = self._resource.message_class()
        message.CopyFrom(wish.wanted)
        stamp_uid(message, self._resource, self._inserter.identifiers)
        (row,) = await self._inserter.insert(transaction, self._resource, [message])
        return row

    def is_one_statement(self, wish: Wish) -> bool:
        """Tell whether no rule, and no field that changes only in part, needs the record as it is."""
        mask = wish.mask
        if wish.ensures or self._check.needs_record or mask.parts is None:
            return False
        return not any(
            not part.whole or name not in self._resource.by_name or self._resource.by_name[name].immutable
            for name, part in mask.parts.items()
        )

    def is_light(self, wish: Wish) -> bool:
        """Tell whether, beside that, it writes something that waits for no other record, and for no fence (rule R9)."""
        if not wish.fields or self._resource.is_fenced or not self.is_one_statement(wish):
            return False
        columns = [field.column.name for field in wish.fields if field.column]
        return self._resource.entangled.isdisjoint(columns)

    def _parsed(self, paths: tuple[str, ...]) -> tuple[Mask, tuple[Field, ...]]:
        descriptor: Any = self._resource.message_class.DESCRIPTOR
        mask = masks.parse_mask(paths, descriptor, write=True)
        return mask, masks.stored_fields(mask, self._resource)

    def _is_so(self, row: Row, merged: Any) -> bool:
        """Tell whether the record has all the values it is to have; with some that nobody sees, nobody knows."""
        if holds(merged.DESCRIPTOR, Behavior.INPUT_ONLY):
            return False
        before: Any = self._resource.message_class.FromString(row.message)
        etag = self._resource.by_role.get(Role.ETAG)
        if etag is not None:
            setattr(merged, etag.name, getattr(before, etag.name))
        return bool(before == merged)

    async def _as_it_is(self, transaction: Transaction, wish: Wish) -> Row:
        """Return the record, of which nothing is to change, if it could be changed; no version is written."""
        name = wish.wanted.name
        row = await transaction.get(self._resource, name)
        if row is None:
            raise NotFoundError(name)
        self._refuse_deleted(self._resource.message_class.FromString(row.message))
        if wish.version is not None and wish.version != row.version:
            raise StaleEtagError(name)
        return row

    async def _merged(self, transaction: Transaction, wish: Wish) -> tuple[Row, Any]:
        """Return the record as it is, locked, and as it is to be."""
        name = wish.wanted.name
        row = await transaction.get(self._resource, name, lock=True, hidden=True)
        if row is None:
            raise NotFoundError(name)
        old: Any = self._resource.message_class.FromString(row.message)
        self._refuse_deleted(old)
        violations = masks.immutable_violations(wish.mask, self._resource, old, wish.wanted, at=self._field)
        if violations:
            raise InvalidArgumentError(violations)
        if wish.version is not None and wish.version != row.version:
            raise StaleEtagError(name)
        masks.merge(wish.mask, wish.wanted, old)
        violations = self._check.merged_violations(old, wish.mask)
        if violations:
            raise InvalidArgumentError(violations)
        return row, old

    def _refuse_deleted(self, record: Any) -> None:
        deleted = self._resource.by_role.get(Role.DELETE_TIME)
        if self._resource.soft_delete and deleted is not None and record.HasField(deleted.name):
            raise DeletedError(record.name)
