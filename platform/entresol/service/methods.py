"""The standard reads: Get, BatchGet and List of any resource, answered from serialized records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message

from entresol.errors import InvalidArgumentError, NotFoundError
from entresol.records import CACHE, NEAR, Found, Listings, Records
from entresol.schema.filters import parse
from entresol.schema.masks import WHOLE, Mask, apply_read, parse_mask_text
from entresol.schema.model import Method, Resource
from entresol.schema.names import WILDCARD
from entresol.schema.orders import parse_order
from entresol.schema.pages import PageTokens, query_hash
from entresol.service.call import READ_MASK_KEY, SHOW_VERSION_KEY, VERSION_KEY, Answer, Call, Handler
from entresol.service.frames import repeated
from entresol.service.standard import reply_field_number, resource_of
from entresol.storage.store import ListQuery


def get(method: Method, records: Records) -> Handler:
    """Return the handler of a Get method (AIP-131)."""
    resource = resource_of(method)

    def handler(request: Any, call: Call) -> Answer:
        mask, name = read_mask(resource, call), request.name
        found = records.near_one(resource, name, call.demand)
        return looked_up(name, mask, call) if found is None else reply(found, name, mask, call)

    async def looked_up(name: str, mask: Mask, call: Call) -> bytes:
        found = await records.get_one(resource, name, call.demand, timeout_s=call.remaining_s())
        return reply(found, name, mask, call)

    def reply(found: Found, name: str, mask: Mask, call: Call) -> bytes:
        call.remember(call.demand.after_reading(resource, [name], [found]), records.tokens)
        call.answered_by(found.answered_by)
        call.serve_stale(found.staleness_s)
        if call.metadata.get(SHOW_VERSION_KEY) == "true":
            call.trailing[VERSION_KEY] = str(found.version)
        message = found.message_of(name)
        return message if mask.whole else _masked(resource, [message], mask)[0]

    return handler


def batch_get(method: Method, records: Records) -> Handler:
    """Return the handler of a BatchGet method (AIP-231): all records in the order asked for, or which are missing."""
    resource = resource_of(method)
    number = reply_field_number(method)

    async def handler(request: Any, call: Call) -> bytes:
        mask = read_mask(resource, call)
        names = list(request.names)
        found = await records.get(resource, names, call.demand, timeout_s=call.remaining_s())
        call.remember(call.demand.after_reading(resource, names, found), records.tokens)
        missing = dict.fromkeys(name for name, item in zip(names, found, strict=True) if item.message is None)
        if missing:
            raise NotFoundError(*missing)
        messages = [item.message_of(name) for name, item in zip(names, found, strict=True)]
        call.serve_stale(max((item.staleness_s for item in found), default=0.0))
        sources = {item.answered_by for item in found}
        call.answered_by(next(iter(sources - {CACHE, NEAR}), NEAR if sources == {NEAR} else CACHE))
        return repeated(number, _masked(resource, messages, mask))

    return handler


def list_(method: Method, records: Records, listings: Listings, tokens: PageTokens) -> Handler:
    """Return the handler of a List method (AIP-132): keyset pages with opaque tokens bound to the query."""
    resource = resource_of(method)
    number = reply_field_number(method)
    token_number = method.output.fields_by_name["next_page_token"].number

    async def handler(request: Any, call: Call) -> bytes:
        mask = read_mask(resource, call)
        digest = _digest(request, call)
        query = _query(request, resource, tokens, digest)
        page = await listings.get(resource, query, call.demand, timeout_s=call.remaining_s())
        call.remember(call.demand.after_listing(resource, page.seen), records.tokens)
        call.answered_by(page.answered_by)
        reply = repeated(number, _masked(resource, page.messages, mask))
        if page.last:
            reply += repeated(token_number, [tokens.issue(page.last, digest).encode()])
        return reply

    return handler


def page_size(asked: int, resource: Resource) -> int:
    """Return how many records a page holds: the default for 0, never more than the resource's maximum (rule 60)."""
    return min(asked or resource.page_size_default, resource.page_size_max)


def read_mask(resource: Resource, call: Call) -> Mask:
    """Return what the caller wants to see of each record (AIP-157).

    Raises:
        InvalidArgumentError: its paths cannot be read; nothing has been looked up yet.
    """
    text = call.metadata.get(READ_MASK_KEY, "")
    descriptor: Any = resource.message_class.DESCRIPTOR
    return parse_mask_text(text, descriptor) if text else WHOLE


def _digest(request: Any, call: Call) -> bytes:
    """Return what all pages of one query share; `page_size` and `skip` may differ (rules 64 and 67)."""
    parts = [getattr(request, name, "") for name in ("parent", "filter", "order_by", "show_deleted")]
    return query_hash(call.method.path, *map(str, parts), call.caller.subject)


def list_query(
    resource: Resource, *, parent: str = "", filter_: str = "", order_by: str = "", size: int = 0, **more: Any
) -> ListQuery:
    """Return what a page is made of, by the arguments of a List; `more` are fields of the query.

    Raises:
        InvalidArgumentError: of `parent`, `filter` or `order_by`.
    """
    return ListQuery(
        parent=_parent_condition(parent),
        filter=parse(filter_, resource),
        order=parse_order(order_by, resource),
        limit=page_size(size, resource),
        **more,
    )


def _query(request: Any, resource: Resource, tokens: PageTokens, digest: bytes) -> ListQuery:
    return list_query(
        resource,
        parent=getattr(request, "parent", ""),
        filter_=getattr(request, "filter", ""),
        order_by=getattr(request, "order_by", ""),
        size=request.page_size,
        after=tokens.read(request.page_token, digest) if request.page_token else None,
        skip=getattr(request, "skip", 0),
        show_deleted=getattr(request, "show_deleted", False),
    )


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


def _masked(resource: Resource, messages: Sequence[bytes], mask: Mask) -> Sequence[bytes]:
    """Return the messages as they are, or only what the mask covers: the slow path, which parses them."""
    if mask.whole:
        return messages

    def masked(serialized: bytes) -> bytes:
        message: Message = resource.message_class.FromString(serialized)
        apply_read(mask, message)
        return message.SerializeToString()

    return [masked(serialized) for serialized in messages]
