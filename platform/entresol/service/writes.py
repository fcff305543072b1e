"""The standard writes: Create, BatchCreate, Update, Delete and Undelete of any resource, each in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from entresol.config import Settings
from entresol.errors import NotFoundError, StaleEtagError
from entresol.records import Records
from entresol.schema.model import Method
from entresol.service.call import PRIMARY, SESSION_KEY, Call, Handler
from entresol.service.creation import Creator
from entresol.service.frames import repeated
from entresol.service.standard import reply_field_number, request_field, resource_of
from entresol.service.updates import Updater
from entresol.storage import requests
from entresol.storage.transaction import Transaction

# What a write does inside its transaction; it returns the serialized reply.
Work = Callable[[Transaction], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Writes:
    """Makes the handlers of standard writes."""

    records: Records
    settings: Settings

    def create(self, method: Method, creator: Creator) -> Handler:
        """Return the handler of a Create method (AIP-133)."""
        resource = resource_of(method)

        async def handler(request: Any, call: Call) -> bytes:
            message = creator.message(request)

            async def work(transaction: Transaction) -> bytes:
                (row,) = await transaction.insert(resource, [message])
                return row.message

            return await self._write(request, call, work)

        return handler

    def batch_create(self, method: Method, creator: Creator) -> Handler:
        """Return the handler of a BatchCreate method (AIP-233): all of them in one transaction, or none."""
        resource = resource_of(method)
        number = reply_field_number(method)

        async def handler(request: Any, call: Call) -> bytes:
            messages = creator.messages(request)

            async def work(transaction: Transaction) -> bytes:
                rows = await transaction.insert(resource, messages)
                return repeated(number, [row.message for row in rows])

            return await self._write(request, call, work)

        return handler

    def update(self, method: Method, updater: Updater) -> Handler:
        """Return the handler of an Update method (AIP-134): what its mask names, or all of a new record."""
        field = request_field(method)

        async def handler(request: Any, call: Call) -> bytes:
            wanted: Any = getattr(request, field)
            change = updater.change(request, wanted, etag_version(getattr(wanted, "etag", ""), wanted.name))

            async def work(transaction: Transaction) -> bytes:
                try:
                    return (await updater.apply(transaction, change)).message
                except NotFoundError:
                    if not getattr(request, "allow_missing", False):
                        raise
                return (await updater.create(transaction, request, change)).message

            return await self._write(request, call, work)

        return handler

    def delete(self, method: Method) -> Handler:
        """Return the handler of a Delete method (AIP-135, and AIP-164 where records are only marked)."""
        resource = resource_of(method)
        returns_resource = method.output.full_name == resource.message

        async def handler(request: Any, call: Call) -> bytes:
            async def work(transaction: Transaction) -> bytes:
                try:
                    row = await transaction.delete(
                        resource,
                        request.name,
                        version=etag_version(getattr(request, "etag", ""), request.name),
                        force=getattr(request, "force", False),
                    )
                except NotFoundError:
                    if not getattr(request, "allow_missing", False):
                        raise
                    return b""
                return row.message if returns_resource else b""

            return await self._write(request, call, work)

        return handler

    def undelete(self, method: Method) -> Handler:
        """Return the handler of an Undelete method (AIP-164)."""
        resource = resource_of(method)

        async def handler(request: Any, call: Call) -> bytes:
            async def work(transaction: Transaction) -> bytes:
                version = etag_version(getattr(request, "etag", ""), request.name)
                return (await transaction.undelete(resource, request.name, version=version)).message

            return await self._write(request, call, work)

        return handler

    async def _write(self, request: Message, call: Call, work: Work) -> bytes:
        """Run `work` in one transaction and return its reply.

        With `request_id` a repeated request is answered with the first reply and does not act again (AIP-155). With
        `validate_only` everything is done and then undone, so it fails exactly when the real call would (AIP-163).
        """
        async with self.records.transaction(timeout_s=call.remaining_s()) as transaction:
            reply = await self._once(request, call, work, transaction)
            if getattr(request, "validate_only", False):
                transaction.rollback_only()
        if transaction.committed and transaction.changes:
            call.trailing[SESSION_KEY] = self.records.session_after(call.demand, transaction).encode()
        call.answered_by(PRIMARY)
        return reply

    async def _once(self, request: Message, call: Call, work: Work, transaction: Transaction) -> bytes:
        """Return the reply that this `request_id` had before, or do the work."""
        request_id = getattr(request, "request_id", "")
        if not request_id:
            return await work(transaction)
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        claim = requests.Claim(call.method.full_name, call.caller.subject, request_id, digest)
        reply = await requests.claim(transaction, claim, ttl_s=self.settings.request_id_ttl_s)
        if reply is None:
            reply = await work(transaction)
            await requests.finish(transaction, claim, reply)
        return reply


def etag_version(etag: str, name: str) -> int | None:
    """Return the version an etag stands for, None when there is no etag.

    Raises:
        StaleEtagError: it is not an etag that the record can have (AIP-154).
    """
    if not etag:
        return None
    try:
        return int(etag.removeprefix('"').removesuffix('"'), 16)
    except ValueError as error:
        raise StaleEtagError(name) from error
