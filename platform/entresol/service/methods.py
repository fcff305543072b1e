"""The standard reads: Get, BatchGet and List of any resource, answered from serialized records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from entresol.errors import InvalidArgumentError, NotFoundError
from entresol.records import CACHE, Records
from entresol.schema.filters import parse
from entresol.schema.masks import apply_read, parse_mask_text
from entresol.schema.model import Method, Resource
from entresol.schema.names import WILDCARD
from entresol.schema.orders import parse_order
from entresol.schema.pages import PageTokens, query_hash
from entresol.service.call import READ_MASK_KEY, Call, Handler
from entresol.service.frames import repeated
from entresol.service.standard import reply_field_number, resource_of
from entresol.storage.store import ListQuery


def get(method: Method, records: Records) -> Handler:
    """Return the handler of a Get method (AIP-131)."""
    resource = resource_of(method)

    async def handler(request: Any, call: Call) -> bytes:
        message, source = await records.get_one(
            resource, request.name, call.demand, timeout_s=call.remaining_s()
        )
        call.answered_by(source)
        (message,) = _masked(resource, [message], call)
        return message

    return handler


def batch_get(method: Method, records: Records) -> Handler:
    """Return the handler of a BatchGet method (AIP-231): all of the records, in the order asked for, or an error."""
    resource = resource_of(method)
    number = reply_field_number(method)

    async def handler(request: Any, call: Call) -> bytes:
        names = list(request.names)
        found = await records.get(resource, names, call.demand, timeout_s=call.remaining_s())
        for name, item in zip(names, found, strict=True):
            if item.message is None:
                raise NotFoundError(name)
        sources = {item.answered_by for item in found}
        call.answered_by(next(iter(sources - {CACHE}), CACHE))
        return repeated(number, _masked(resource, [item.message or b"" for item in found], call))

    return handler


def list_(method: Method, records: Records, tokens: PageTokens) -> Handler:
    """Return the handler of a List method (AIP-132): keyset pages with opaque tokens bound to the query."""
    resource = resource_of(method)
    number = reply_field_number(method)
    token_number = method.output.fields_by_name["next_page_token"].number

    async def handler(request: Any, call: Call) -> bytes:
        parent = getattr(request, "parent", "")
        filter_text = getattr(request, "filter", "")
        order_text = getattr(request, "order_by", "")
        show_deleted = getattr(request, "show_deleted", False)
        digest = query_hash(
            method.path, parent, filter_text, order_text, str(show_deleted), call.caller.subject
        )
        query = ListQuery(
            parent=_parent_condition(parent),
            filter=parse(filter_text, resource),
            order=parse_order(order_text, resource),
            after=tokens.read(request.page_token, digest) if request.page_token else None,
            limit=page_size(request.page_size, resource),
            show_deleted=show_deleted,
        )
        page = await records.list(resource, query, call.demand, timeout_s=call.remaining_s())
        call.answered_by(str(page.source))
        reply = repeated(number, _masked(resource, [row.message for row in page.rows], call))
        if page.more:
            reply += repeated(token_number, [tokens.issue(page.last, digest).encode()])
        return reply

    return handler


def page_size(asked: int, resource: Resource) -> int:
    """Return how many records a page holds: the default for 0, never more than the resource's maximum (rule 60)."""
    return min(asked or resource.page_size_default, resource.page_size_max)


def _parent_condition(parent: str) -> str | None:
    """Return the parent that a List is confined to; None at the top level and for `-` in every place (AIP-159)."""
    ids = parent.split("/")[1::2]
    if not parent or all(part == WILDCARD for part in ids):
        return None
    if WILDCARD in ids:
        raise InvalidArgumentError.of(
            "parent", f"{parent!r} mixes `-` and ids; use `-` in every place or in none"
        )
    return parent


def _masked(resource: Resource, messages: Sequence[bytes], call: Call) -> Sequence[bytes]:
    """Return the messages as they are, or only what the caller's read mask names (AIP-157, the slow path)."""
    text = call.metadata.get(READ_MASK_KEY, "")
    if not text or text == "*":
        return messages
    descriptor: Any = resource.message_class.DESCRIPTOR
    mask = parse_mask_text(text, descriptor)

    def masked(serialized: bytes) -> bytes:
        message: Message = resource.message_class.FromString(serialized)
        apply_read(mask, message)
        return message.SerializeToString()

    return [masked(serialized) for serialized in messages]
