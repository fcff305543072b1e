"""One method as data: where it is, what goes in and out, and whether it may be repeated."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from entresol_client.names import Name
from entresol_client.options import IDEMPOTENCY_KEY, ROUTING_KEY, Metadata, paths_of

RequestT = TypeVar("RequestT", bound=Message)
ReplyT = TypeVar("ReplyT", bound=Message)
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT", bound=Message)
MetadataT = TypeVar("MetadataT", bound=Message)


@dataclass(frozen=True)
class Method(Generic[RequestT, ReplyT]):
    """One method of a service.

    `first` is the field that the first argument stands for; `read` methods change nothing and answer soon;
    `request_id` is the field that is filled with a UUID4 (AIP-4235); `routing` the fields of the http path
    (AIP-4222). Proxies see these two as headers.
    """

    path: str  # /stories.v1.StoryService/GetStory
    request_class: type[RequestT]
    reply_class: type[ReplyT]
    first: str = ""
    read: bool = False
    idempotent: bool = False
    request_id: str = ""
    routing: tuple[str, ...] = ()
    server_streaming: bool = False

    def request(self, first: object = None, /, **fields: object) -> RequestT:
        """Return a new request: a copy of `first` when that is one, else of the fields that are not None.

        A request id is filled in when it is empty, once: every attempt sends the same request.
        """
        request = (
            self._copy(first, fields) if isinstance(first, self.request_class) else self._build(first, fields)
        )
        if self.request_id and not getattr(request, self.request_id):
            setattr(request, self.request_id, str(uuid.uuid4()))
        return request

    def repeatable(self, request: RequestT) -> bool:
        """Tell whether sending this request twice acts once."""
        if self.server_streaming:
            return False
        return self.read or self.idempotent or bool(self.request_id and getattr(request, self.request_id))

    def metadata(self, request: RequestT) -> Metadata:
        """Return what proxies may know of a request: its routing, of fields that are set, and its id."""
        values = ((path, _value(request, path)) for path in self.routing)
        text = "&".join(f"{path}={quote(value, safe='')}" for path, value in values if value)
        key = getattr(request, self.request_id) if self.request_id else ""
        return [(name, value) for name, value in ((ROUTING_KEY, text), (IDEMPOTENCY_KEY, key)) if value]

    def _copy(self, request: Any, fields: dict[str, object]) -> RequestT:
        given = [name for name, value in fields.items() if value is not None]
        if given:
            raise TypeError(
                f"{given[0]}: give either a {self.request_class.__name__} or its fields, not both"
            )
        copy = self.request_class()
        copy.CopyFrom(request)
        return copy

    def _build(self, first: object, fields: dict[str, object]) -> RequestT:
        if first is not None:
            if not self.first:
                raise TypeError(f"the first argument must be a {self.request_class.__name__}, not {first!r}")
            fields = {self.first: first, **fields}
        given = {name: self._plain(name, value) for name, value in fields.items() if value is not None}
        return self.request_class(**given)

    def _plain(self, name: str, value: Any) -> Any:
        """Return what the message's constructor takes for a field: names as text, masks as messages."""
        known = self.request_class.DESCRIPTOR.fields_by_name[name]
        if isinstance(value, Name):
            return str(value)
        if known.message_type is not None and known.message_type.full_name == FieldMask.DESCRIPTOR.full_name:
            return FieldMask(paths=paths_of(value))
        if known.is_repeated and isinstance(value, str):
            raise TypeError(f"{name}: must be a list, not {value!r} alone")
        if known.is_repeated and known.message_type is None:
            return [str(item) if isinstance(item, Name) else item for item in value]
        return value


@dataclass(frozen=True)
class PagedMethod(Method[RequestT, ReplyT], Generic[RequestT, ReplyT, ItemT]):
    """A method that answers page by page (AIP-158). `items` returns what one page holds."""

    items: Callable[[ReplyT], Iterable[ItemT]] = lambda page: ()

    def following(self, request: RequestT, page: ReplyT) -> RequestT | None:
        """Return the request of the page after `page`; None after the last one."""
        token = page.next_page_token  # type: ignore[attr-defined]  # AIP-158 gives every page this field
        if not token:
            return None
        copy: Any = self.request_class()  # of a List, which has a page token
        copy.CopyFrom(request)
        copy.page_token = token
        following: RequestT = copy
        return following


@dataclass(frozen=True)
class LongMethod(Method[RequestT, Any], Generic[RequestT, ResultT, MetadataT]):
    """A method that begins an operation (AIP-151), and what the operation tells in the end and on its way."""

    result_class: type[ResultT] = field(kw_only=True)
    metadata_class: type[MetadataT] = field(kw_only=True)


def _value(message: Any, path: str) -> str:
    for part in path.split("."):
        message = getattr(message, part)
    return str(message)
