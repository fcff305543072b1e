"""From the services of the protos to the model's: which methods are standard, and for which resource."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from entresol.schema import options
from entresol.schema.model import Consistency, JobLimit, JobPolicy, Method, MethodKind, Resource, Service
from entresol.schema.resources import snake
from entresol.schema.source import Source

OPERATION = "google.longrunning.Operation"
_VERBS = {
    "BatchGet": MethodKind.BATCH_GET,
    "BatchCreate": MethodKind.BATCH_CREATE,
    "Get": MethodKind.GET,
    "List": MethodKind.LIST,
    "Create": MethodKind.CREATE,
    "Update": MethodKind.UPDATE,
    "Delete": MethodKind.DELETE,
    "Undelete": MethodKind.UNDELETE,
    "Purge": MethodKind.PURGE,
}
_NAME = re.compile(f"({'|'.join(_VERBS)})([A-Z].*)")
_OF_MANY = frozenset({MethodKind.BATCH_GET, MethodKind.BATCH_CREATE, MethodKind.LIST, MethodKind.PURGE})
_READS = frozenset({MethodKind.GET, MethodKind.BATCH_GET, MethodKind.LIST})
_SAFE_LEVELS = frozenset({MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT})


def plural_noun(resource: Resource) -> str:
    """Return the plural as method names spell it: `userEvents` is `UserEvents`."""
    return resource.plural[:1].upper() + resource.plural[1:]


def singular_noun(resource: Resource) -> str:
    """Return the type as method names spell it."""
    return resource.type.rpartition("/")[2]


def read_service(source: Source, service: ServiceDescriptor, resources: Mapping[str, Resource]) -> Service:
    """Return the service with its methods in the order of the file."""
    return Service(
        service.full_name, tuple(read_method(source, method, resources) for method in service.methods)
    )


def read_method(source: Source, method: MethodDescriptor, resources: Mapping[str, Resource]) -> Method:
    """Return the method; standard when its name says so (`rules.methods` judges the shape)."""
    kind, resource = recognize(method, resources)
    option = source.option(method, options.METHOD)
    given = 0 if option is None else option.consistency
    return Method(
        full_name=method.full_name,
        path=f"/{method.containing_service.full_name}/{method.name}",
        kind=kind,
        input=method.input_type,
        output=method.output_type,
        input_class=source.message_class(method.input_type),
        output_class=source.message_class(method.output_type),
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
        resource=resource,
        resource_field=None if resource is None else _resource_field(method, kind, resource),
        consistency=Consistency(given) if given and options.is_choice(Consistency, given) else None,
        safe=kind in _READS or method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS,
        bindings=options.bindings(source, method),
        idempotent=kind in _READS or method.GetOptions().idempotency_level in _SAFE_LEVELS,
        request_id=_request_id(source, method.input_type),
        job=_job(source, method, option),
    )


def _request_id(source: Source, request: Descriptor) -> str:
    field = request.fields_by_name.get("request_id")
    return field.name if field is not None and options.is_uuid4(source, field) else ""


def _job(source: Source, method: MethodDescriptor, option: Any) -> JobPolicy | None:
    info = source.option(method, options.OPERATION)
    if info is None or method.output_type.full_name != OPERATION:
        return None
    package = method.containing_service.file.package
    response, metadata = (
        name if "." in name else f"{package}.{name}" for name in (info.response_type, info.metadata_type)
    )
    policy = JobPolicy(response, metadata)
    given = None if option is None else option.job
    if given is None:
        return policy
    return JobPolicy(
        response,
        metadata,
        given.queue or policy.queue,
        given.timeout.ToTimedelta().total_seconds() or policy.timeout_s,
        given.attempts or policy.attempts_max,
        given.priority,
        _job_limit(given),
        given.queue_max or policy.queue_max,
    )


def _job_limit(job: Any) -> JobLimit | None:
    if not job.concurrency and not job.HasField("rate"):
        return None
    per_s = job.rate.per.ToTimedelta().total_seconds() or 1.0
    return JobLimit(job.concurrency, job.rate.starts / per_s, job.rate.burst or job.rate.starts)


def has_standard_name(name: str) -> bool:
    """Tell whether a method's name begins like a standard method's."""
    return _NAME.fullmatch(name) is not None


def recognize(
    method: MethodDescriptor, resources: Mapping[str, Resource]
) -> tuple[MethodKind, Resource | None]:
    """Return what standard method the name stands for, or CUSTOM.

    Of those that answer with a long-running operation (AIP-151) only Purge is known: what others do, the service's own
    code knows.
    """
    found = _NAME.fullmatch(method.name)
    kind = MethodKind.CUSTOM if found is None else _VERBS[found[1]]
    is_long = method.output_type.full_name == OPERATION
    if found is None or is_long is not (kind is MethodKind.PURGE):
        return MethodKind.CUSTOM, None
    spell = plural_noun if kind in _OF_MANY else singular_noun
    named = [resource for resource in resources.values() if spell(resource) == found[2]]
    resource = _meant(method, named)
    return (kind, resource) if resource is not None else (MethodKind.CUSTOM, None)


def _meant(method: MethodDescriptor, named: list[Resource]) -> Resource | None:
    """Pick the resource of the method's own package, else the one whose message the method uses."""
    package = method.containing_service.file.package
    for resource in named:
        if resource.descriptor is not None and resource.descriptor.file.package == package:
            return resource
    used = set(_used(method))
    return next((resource for resource in named if resource.message in used), None)


def _used(method: MethodDescriptor) -> Iterator[str]:
    yield method.output_type.full_name
    for field in (*method.input_type.fields, *method.output_type.fields):
        if field.message_type is not None:
            yield field.message_type.full_name


def _resource_field(method: MethodDescriptor, kind: MethodKind, resource: Resource) -> str | None:
    if kind in (MethodKind.CREATE, MethodKind.UPDATE):
        return snake(resource.singular)
    return repeated_resource(method.output_type, resource) if kind in _OF_MANY else None


def repeated_resource(message: Any, resource: Resource) -> str | None:
    """Return the name of the message's repeated field of this resource, or None."""
    for field in message.fields:
        inner = field.message_type
        if field.is_repeated and inner is not None and inner.full_name == resource.message:
            name: str = field.name
            return name
    return None
