"""The standard writes: Create, BatchCreate, Update, Delete and Undelete of any resource, each in one transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from entresol.config import Settings
from entresol.errors import AlreadyExistsError, NotFoundError
from entresol.records import Records
from entresol.schema.model import Method, Resource
from entresol.service.call import PRIMARY, Call, Handler
from entresol.service.creation import Creator
from entresol.service.frames import repeated
from entresol.service.repeats import Work, claim_of, each_once, once
from entresol.service.singletons import Inserter
from entresol.service.standard import reply_field_number, request_field, resource_of
from entresol.service.updates import Updater
from entresol.storage.new_jobs import NewJob
from entresol.storage.requests import Claim
from entresol.storage.store import Committed, Ingested, Transaction

_ETAG = re.compile(r'"?([0-9a-f]{16})"?')
# No record has it: versions count from 1.
_NO_VERSION = -1
_VERSION_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Writes:
    """Makes the handlers of standard writes."""

    records: Records
    settings: Settings
    inserter: Inserter

    def create(self, method: Method, creator: Creator) -> Handler:
        """Return the handler of a Create method (AIP-133)."""
        resource = resource_of(method)
        one_statement = self.inserter.is_one_statement(resource) and not resource.is_fenced
        is_ingested = resource.events is not None and one_statement

        async def handler(request: Any, call: Call) -> bytes:
            message = creator.message(request)
            if is_ingested and not getattr(request, "validate_only", False):
                claim = claim_of(request, call.method, call)
                done = await self._ingest(resource, [message], call, claim)
                if done is not None:
                    return done[0]

            async def work(transaction: Transaction) -> bytes:
                (row,) = await self.inserter.insert(transaction, resource, [message])
                return row.message

            return await self.write(request, call, work, one_statement=one_statement)

        return handler

    def batch_create(self, method: Method, creator: Creator) -> Handler:
        """Return the handler of a BatchCreate method (AIP-233): all of them in one transaction, or none."""
        resource = resource_of(method)
        number = reply_field_number(method)
        is_ingested = resource.events is not None and self.inserter.is_one_statement(resource)

        async def handler(request: Any, call: Call) -> bytes:
            messages = creator.messages(request)
            if is_ingested and messages and all(map(is_plain, (request, *request.requests))):
                return repeated(number, await self._ingest(resource, messages, call) or ())

            async def work(transaction: Transaction) -> bytes:
                async def insert(new: Sequence[int]) -> list[bytes]:
                    chosen = [messages[index] for index in new]
                    rows = await self.inserter.insert(transaction, resource, chosen)
                    return [row.message for row in rows]

                replies = await each_once(
                    transaction, insert, request.requests, creator.method, call, self._ttl_s
                )
                return repeated(number, replies)

            dry = all(getattr(one, "validate_only", False) for one in request.requests)
            return await self.write(request, call, work, dry=dry)

        return handler

    def update(self, method: Method, updater: Updater) -> Handler:
        """Return the handler of an Update method (AIP-134): what its mask names, or all of a new record."""
        field = request_field(method)
        resource = resource_of(method)

        async def handler(request: Any, call: Call) -> bytes:
            wanted: Any = getattr(request, field)
            wish = updater.wish(request, wanted, etag_version(getattr(wanted, "etag", "")))

            async def work(transaction: Transaction) -> bytes:
                try:
                    return (await updater.apply(transaction, wish)).message
                except NotFoundError:
                    if not getattr(request, "allow_missing", False):
                        raise
                return (await updater.create(transaction, request, wish)).message

            if is_plain(request) and updater.is_light(wish):
                done = await self.records.update(resource, wish.wanted, wish.fields, version=wish.version)
                if done is not None:
                    self._tell(call, done)
                    call.answered_by(PRIMARY)
                    return done.message
            try:
                return await self.write(request, call, work)
            except AlreadyExistsError as error:
                if not getattr(request, "allow_missing", False) or error.metadata.get("name") != wanted.name:
                    raise
            # Another call created it between this one's look and its insert: now it is there to be updated.
            return await self.write(request, call, work)

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
                        version=etag_version(getattr(request, "etag", "")),
                        force=getattr(request, "force", False),
                    )
                except NotFoundError:
                    if not getattr(request, "allow_missing", False):
                        raise
                    marked = await transaction.get(resource, request.name) if returns_resource else None
                    return marked.message if marked else b""
                return row.message if returns_resource else b""

            return await self.write(request, call, work)

        return handler

    def undelete(self, method: Method) -> Handler:
        """Return the handler of an Undelete method (AIP-164)."""
        resource = resource_of(method)

        async def handler(request: Any, call: Call) -> bytes:
            async def work(transaction: Transaction) -> bytes:
                version = etag_version(getattr(request, "etag", ""))
                return (await transaction.undelete(resource, request.name, version=version)).message

            return await self.write(request, call, work)

        return handler

    async def write(
        self, request: Any, call: Call, work: Work, *, dry: bool = False, one_statement: bool = False
    ) -> bytes:
        """Run `work` in one transaction and return its reply.

        With `validate_only`, or when it is `dry` for another reason, everything is done and then undone, so it fails
        exactly when the real call would (AIP-163). Work of `one_statement` commits itself when nothing else is asked;
        what is fenced cannot, for the fence comes before the commit (rule R9).
        """
        dry = dry or getattr(request, "validate_only", False)
        autocommit = one_statement and not dry and not getattr(request, "request_id", "")
        async with self.records.transaction(
            timeout_s=call.remaining_s(), autocommit=autocommit
        ) as transaction:
            reply = await once(transaction, work, request, call.method, call, self._ttl_s)
            if dry:
                transaction.rollback_only()
        if transaction.committed:
            self._tell(call, transaction)
        call.answered_by(PRIMARY)
        return reply

    async def enqueue(self, job: NewJob, call: Call) -> None:
        """Put a job in, with which nothing else is written."""
        self._tell(call, await self.records.enqueue(job))
        call.answered_by(PRIMARY)

    async def _ingest(
        self, resource: Resource, messages: Sequence[Message], call: Call, claim: Claim | None = None
    ) -> list[bytes] | None:
        """Return the replies of events; None when `claim` is of a request that was here before."""
        done = await self.records.ingest(resource, messages, claim)
        if done is None:
            return None
        self._tell(call, done)
        call.answered_by(PRIMARY)
        return [row.message for row in done.rows]

    def _tell(self, call: Call, done: Transaction | Committed | Ingested) -> None:
        """Let the caller's session know of what is committed."""
        call.remember(self.records.session_after(call.demand, done), self.records.tokens)

    @property
    def _ttl_s(self) -> float:
        return self.settings.request_id_ttl_s


def is_plain(request: Any) -> bool:
    """Tell whether a request only wants to be done: it is no rehearsal, and known by no id."""
    return not getattr(request, "validate_only", False) and not getattr(request, "request_id", "")


def etag_version(etag: str) -> int | None:
    """Return the version an etag stands for, None when there is no etag; for what is no etag of ours, no record's.

    So a wrong etag is found out where a stale one is: when the record is known to exist (AIP-154, AIP-193).
    """
    if not etag:
        return None
    match = _ETAG.fullmatch(etag)
    version = int(match[1], 16) if match else _NO_VERSION
    return version if version <= _VERSION_MAX else _NO_VERSION
