"""What a resource asks of cache, pages and soft delete: values that can be kept, and the fields they need."""

from __future__ import annotations

from entresol.schema import options
from entresol.schema.model import Consistency, IdSource, Resource, Role, StaleReads, UnfencedWrites
from entresol.schema.rules.scope import Scope, message_of

# A timestamp or interval of PostgreSQL, and a TTL of Redis, hold this much and more.
SECONDS_MAX = 100 * 366 * 24 * 3600.0


def check_policies(scope: Scope) -> None:
    """Report policies that cannot be kept."""
    for resource in scope.resources:
        if scope.storage(resource) is not None:
            _choices(scope, resource)
            _cache(scope, resource)
            _pages(scope, resource)
            _soft_delete(scope, resource)


def _add(scope: Scope, resource: Resource, rule: str, problem: str, remedy: str) -> None:
    scope.report.add(message_of(resource), rule, problem, remedy, option=options.STORAGE)


def _choices(scope: Scope, resource: Resource) -> None:
    storage = scope.storage(resource)
    for name, kind in (("consistency", Consistency), ("id_source", IdSource)):
        number = getattr(storage, name)
        if not options.is_choice(kind, number):
            remedy = "use a name of entresol/options/v1/options.proto"
            _add(scope, resource, "entresol/options", f"{name} {number} is unknown", remedy)


def _cache(scope: Scope, resource: Resource) -> None:
    storage = scope.storage(resource)
    number = storage.cache.unfenced_writes
    if not options.is_choice(UnfencedWrites, number):
        remedy = "use a name of entresol/options/v1/options.proto"
        _add(scope, resource, "entresol/options", f"cache.unfenced_writes {number} is unknown", remedy)
    elif number and not resource.is_fenced:
        problem = "cache.unfenced_writes is given, and nothing fences the writes"
        remedy = "add `consistency: CONSISTENCY_STRONG` and a cache, or remove it"
        _add(scope, resource, "entresol/cache", problem, remedy)
    number = storage.cache.stale_reads
    if not options.is_choice(StaleReads, number):
        remedy = "use a name of entresol/options/v1/options.proto"
        _add(scope, resource, "entresol/options", f"cache.stale_reads {number} is unknown", remedy)
    elif number and not storage.cache.HasField("max_staleness"):
        problem = "cache.stale_reads is given, and no read is ever too old"
        _add(scope, resource, "entresol/cache", problem, "add `max_staleness: {seconds: 5}`, or remove it")
    if storage.cache.HasField("shared_max_age"):
        value_s = resource.cache.shared_s_max
        _lasting(scope, resource, "entresol/cache", "cache.shared_max_age", value_s)
    if storage.cache.HasField("max_staleness"):
        value_s = resource.cache.staleness_s_max
        _lasting(scope, resource, "entresol/cache", "cache.max_staleness", value_s)
    for name, value in (("ttl", resource.cache.ttl_s), ("negative_ttl", resource.cache.negative_ttl_s)):
        _lasting(scope, resource, "entresol/cache", f"cache.{name}", value)


def _lasting(scope: Scope, resource: Resource, rule: str, name: str, value_s: float) -> None:
    if not 0.001 <= value_s <= SECONDS_MAX:
        remedy = "choose a time between a millisecond and a hundred years"
        _add(scope, resource, rule, f"{name} is {value_s:g} seconds", remedy)


def _pages(scope: Scope, resource: Resource) -> None:
    default, most = resource.page_size_default, resource.page_size_max
    if default < 0 or most < 0:
        _add(scope, resource, "entresol/page-size", "a page size is negative", "choose 1 or more")
    elif default > most:
        problem = f"default_page_size {default} is above max_page_size {most}"
        _add(scope, resource, "entresol/page-size", problem, "raise the one or lower the other")


def _soft_delete(scope: Scope, resource: Resource) -> None:
    if resource.soft_delete_retention_s is None:
        return
    _lasting(
        scope, resource, "entresol/soft-delete", "soft_delete.retention", resource.soft_delete_retention_s
    )
    if Role.DELETE_TIME not in resource.by_role:
        remedy = "add: google.protobuf.Timestamp delete_time [(google.api.field_behavior) = OUTPUT_ONLY]"
        _add(scope, resource, "AIP-164", "has soft_delete and no delete_time", remedy)
