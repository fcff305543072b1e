"""What the request and response of each standard method must hold, as data (AIP-131 to 135, 164, 165, 231, 233)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from entresol.schema.model import IdSource, MethodKind, Resource
from entresol.schema.resources import snake
from entresol.schema.services import OPERATION, plural_noun, singular_noun

EMPTY = "google.protobuf.Empty"


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a request or response.

    `required` True: it must be REQUIRED; False: it must not; None: either. `refers` names what its
    `resource_reference` must point to: the resource ("type"), or its parent ("parent").
    """

    name: str
    type: str
    must: bool = False
    required: bool | None = False
    refers: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The shape of one kind of method. An empty `response` is one named after the method."""

    rule: str
    parts: Callable[[Resource], list[Part]]
    response: Callable[[Resource], tuple[str, ...]]
    response_parts: Callable[[Resource], list[Part]] = lambda resource: []


_NAME = Part("name", "string", must=True, required=True, refers="type")
_ETAG = Part("etag", "string", required=None)
_REQUEST_ID = Part("request_id", "string", required=None)
_VALIDATE_ONLY = Part("validate_only", "bool")
_ALLOW_MISSING = Part("allow_missing", "bool")
_MUTATION = [_REQUEST_ID, _VALIDATE_ONLY]


def has_parent(resource: Resource) -> bool:
    """Tell whether any pattern of the resource begins with another name."""
    return any(pattern.parent_segments for pattern in resource.patterns)


def _parent(resource: Resource, *, must: bool) -> list[Part]:
    if not has_parent(resource):
        return []
    return [Part("parent", "string", must=must, required=must or None, refers="parent")]


def _get(resource: Resource) -> list[Part]:
    return [_NAME]


def _batch_get(resource: Resource) -> list[Part]:
    names = Part("names", "repeated string", must=True, required=True, refers="type")
    return [*_parent(resource, must=False), names]


def _list(resource: Resource) -> list[Part]:
    return [
        *_parent(resource, must=True),
        Part("page_size", "int32", must=True),
        Part("page_token", "string", must=True),
        Part("filter", "string"),
        Part("order_by", "string"),
        Part("show_deleted", "bool"),
        Part("skip", "int32"),
    ]


def _create(resource: Resource) -> list[Part]:
    name = snake(resource.singular)
    chosen = resource.id_source is IdSource.CLIENT
    server = resource.id_source is IdSource.SERVER
    return [
        *_parent(resource, must=True),
        Part(name, resource.message, must=True, required=True),
        Part(f"{name}_id", "string", must=chosen, required=False if server else None),
        *_MUTATION,
    ]


def _batch_create(resource: Resource) -> list[Part]:
    package = resource.message.rpartition(".")[0]
    request = ".".join(filter(None, (package, f"Create{singular_noun(resource)}Request")))
    requests = Part("requests", f"repeated {request}", must=True, required=True)
    return [*_parent(resource, must=False), requests, *_MUTATION]


def _update(resource: Resource) -> list[Part]:
    return [
        Part(snake(resource.singular), resource.message, must=True, required=True),
        Part("update_mask", "google.protobuf.FieldMask", must=True),
        _ALLOW_MISSING,
        *_MUTATION,
    ]


def _delete(resource: Resource) -> list[Part]:
    return [_NAME, _ETAG, Part("force", "bool"), _ALLOW_MISSING, *_MUTATION]


def _undelete(resource: Resource) -> list[Part]:
    return [_NAME, _ETAG, *_MUTATION]


def _purge(resource: Resource) -> list[Part]:
    filter_ = Part("filter", "string", must=True, required=True)
    return [*_parent(resource, must=False), filter_, Part("force", "bool", must=True)]


def _operation(resource: Resource) -> tuple[str, ...]:
    return (OPERATION,)


def _itself(resource: Resource) -> tuple[str, ...]:
    return (resource.message,)


def _deleted(resource: Resource) -> tuple[str, ...]:
    return (EMPTY, resource.message) if resource.soft_delete else (EMPTY,)


def _named(resource: Resource) -> tuple[str, ...]:
    return ()


def _many(resource: Resource) -> list[Part]:
    return [Part("", f"repeated {resource.message}", must=True, required=None)]


def _page(resource: Resource) -> list[Part]:
    return [*_many(resource), Part("next_page_token", "string", must=True, required=None)]


FORMS: dict[MethodKind, Form] = {
    MethodKind.GET: Form("AIP-131", _get, _itself),
    MethodKind.LIST: Form("AIP-132", _list, _named, _page),
    MethodKind.CREATE: Form("AIP-133", _create, _itself),
    MethodKind.UPDATE: Form("AIP-134", _update, _itself),
    MethodKind.DELETE: Form("AIP-135", _delete, _deleted),
    MethodKind.UNDELETE: Form("AIP-164", _undelete, _itself),
    MethodKind.PURGE: Form("AIP-165", _purge, _operation),
    MethodKind.BATCH_GET: Form("AIP-231", _batch_get, _named, _many),
    MethodKind.BATCH_CREATE: Form("AIP-233", _batch_create, _named, _many),
}


# What the operation of a Purge answers with in the end.
PURGED = [
    Part("purge_count", "int32", must=True, required=None),
    Part("purge_sample", "repeated string", must=True, required=None),
]


def method_name(kind: MethodKind, resource: Resource) -> str:
    """Return the name of the resource's standard method of this kind."""
    verb = "".join(word.capitalize() for word in kind.value.split("_"))
    many = kind in (MethodKind.LIST, MethodKind.BATCH_GET, MethodKind.BATCH_CREATE, MethodKind.PURGE)
    return verb + (plural_noun(resource) if many else singular_noun(resource))
