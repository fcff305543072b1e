"""From annotated messages to the resources of the model, and the parents between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.descriptor import Descriptor

from entresol.schema import options
from entresol.schema.fields import read_field
from entresol.schema.indexes import read_index
from entresol.schema.list_scopes import never_null, read_list_scopes
from entresol.schema.model import (
    CachePolicy,
    Column,
    Consistency,
    Events,
    Field,
    IdSource,
    Resource,
    StaleReads,
    UnfencedWrites,
)
from entresol.schema.names import Pattern
from entresol.schema.revisions import revision_of
from entresol.schema.source import Source

DEFAULT_SCHEMA = "public"
RETENTION_S = 30 * 24 * 3600.0
PAGE_SIZE, PAGE_SIZE_MAX = 50, 1000
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_VARIABLE = re.compile(r"\{[^/}]*\}")


def snake(camel: str) -> str:
    """Return `userEvent` as `user_event`."""
    return _HUMP.sub("_", camel).lower()


def blank(pattern: str) -> str:
    """Return `stories/{story}` as `stories/*`: what two patterns must not share, and what HTTP paths hold."""
    return _VARIABLE.sub("*", pattern)


def read_resource(source: Source, message: Descriptor) -> Resource:
    """Return the resource of an annotated message, without its parents and children.

    Whatever the annotation says is taken over as far as it can be; the rules judge it afterwards.
    """
    annotation = source.option(message, options.RESOURCE)
    storage = source.option(message, options.STORAGE)
    fields = tuple(read_field(source, field) for field in message.fields)
    if storage is not None:
        fields = never_null(fields, storage)
    by_name = {field.name: field for field in fields}
    table = _table(annotation, storage)
    return Resource(
        type=annotation.type,
        message=message.full_name,
        singular=annotation.singular,
        plural=annotation.plural,
        patterns=tuple(Pattern(text) for text in annotation.pattern),
        table=table,
        fields=fields,
        revision=revision_of(field for field in fields if field.column is not None),
        descriptor=message,
        message_class=source.message_class(message),
        **({} if storage is None else _policies(storage, table, by_name)),
    )


def link(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Return the resources, each with the types of its parents and children."""
    found = list(resources)
    by_pattern = {blank(pattern.text): resource.type for resource in found for pattern in resource.patterns}
    parents = {resource.type: _parents(resource, by_pattern) for resource in found}
    return tuple(
        replace(
            resource,
            parents=_parents(resource, by_pattern),
            children=tuple(child for child, above in parents.items() if resource.type in above),
        )
        for resource in found
    )


def by_type(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Return the resources by their types."""
    return {resource.type: resource for resource in resources}


def _parents(resource: Resource, by_pattern: Mapping[str, str]) -> tuple[str, ...]:
    above = (blank("/".join(pattern.parent_segments)) for pattern in resource.patterns)
    return tuple(dict.fromkeys(by_pattern[text] for text in above if text in by_pattern))


def _table(annotation: Any, storage: Any) -> str:
    given: str = storage.table if storage is not None else ""
    return given.removeprefix(f"{DEFAULT_SCHEMA}.") or snake(annotation.plural)


def _policies(storage: Any, table: str, fields: Mapping[str, Field]) -> dict[str, Any]:
    cache = _cache(storage.cache)
    return {
        "indexes": tuple(read_index(table, fields, index) for index in storage.indexes),
        "server_columns": tuple(_server_column(column) for column in storage.server_columns),
        "cache": cache,
        "consistency": options.choice(Consistency, storage.consistency, Consistency.BOUNDED),
        "search_fields": tuple(storage.search_fields),
        "list_scopes": read_list_scopes(storage, cache.ttl_s),
        "is_published": storage.publish,
        "soft_delete_retention_s": _retention_s(storage),
        "id_source": options.choice(IdSource, storage.id_source, IdSource.EITHER),
        "events": Events(storage.events.kept_days) if storage.HasField("events") else None,
        "page_size_default": storage.default_page_size or PAGE_SIZE,
        "page_size_max": storage.max_page_size or PAGE_SIZE_MAX,
    }


def _server_column(option: Any) -> Column:
    return Column(option.name, option.type, nullable=not option.default, default=option.default or None)


def _cache(option: Any) -> CachePolicy:
    usual = CachePolicy()
    return CachePolicy(
        enabled=not option.disabled,
        ttl_s=_given_s(option, "ttl", usual.ttl_s),
        negative_ttl_s=_given_s(option, "negative_ttl", usual.negative_ttl_s),
        unfenced_writes=options.choice(UnfencedWrites, option.unfenced_writes, usual.unfenced_writes),
        staleness_s_max=_given_s(option, "max_staleness", usual.staleness_s_max),
        shared_s_max=_given_s(option, "shared_max_age", usual.shared_s_max),
        stale_reads=options.choice(StaleReads, option.stale_reads, usual.stale_reads),
    )


def _retention_s(storage: Any) -> float | None:
    if not storage.HasField("soft_delete"):
        return None
    return _given_s(storage.soft_delete, "retention", RETENTION_S)


def _given_s(option: Any, name: str, default: float) -> float:
    """Return the seconds of a `google.protobuf.Duration` field, or the default when it is not given."""
    duration = getattr(option, name)
    return float(duration.seconds) + float(duration.nanos) / 1e9 if option.HasField(name) else default
