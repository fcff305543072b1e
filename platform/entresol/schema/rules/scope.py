"""What every rule reads, and where it writes what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from entresol.schema import options
from entresol.schema.model import Behavior, Method, MethodKind, Resource, Service
from entresol.schema.report import Report
from entresol.schema.resources import by_type
from entresol.schema.revisions import reachable
from entresol.schema.source import Source, is_own


@dataclass(frozen=True)
class Scope:
    """A set as it was read, with whatever is wrong in it.

    `resources` holds every annotated message, so two may have one type; `services` only the set's own.
    """

    source: Source
    report: Report
    resources: tuple[Resource, ...]
    services: tuple[Service, ...]

    @cached_property
    def by_type(self) -> dict[str, Resource]:
        """Return the resources by type."""
        return by_type(self.resources)

    @cached_property
    def by_message(self) -> dict[str, Resource]:
        """Return the resources by the full name of their message."""
        return {resource.message: resource for resource in self.resources}

    @cached_property
    def defined_types(self) -> frozenset[str]:
        """Return the types that files only name (`resource_definition`), because others keep them."""
        definitions = (
            self.source.option(file, options.RESOURCE_DEFINITION) or () for file in self.source.files
        )
        return frozenset(definition.type for found in definitions for definition in found)

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """Return every method of the own services."""
        return tuple(method for service in self.services for method in service.methods)

    @cached_property
    def by_kind(self) -> dict[tuple[str, MethodKind], Method]:
        """Return the standard methods by the type of their resource and their kind."""
        return {(one.resource.type, one.kind): one for one in self.methods if one.resource is not None}

    def annotation(self, resource: Resource) -> Any:
        """Return the resource's `google.api.resource`."""
        return self.source.option(message_of(resource), options.RESOURCE)

    def storage(self, resource: Resource) -> Any:
        """Return the resource's `entresol.options.v1.resource`, or None."""
        return self.source.option(message_of(resource), options.STORAGE)

    def descriptor(self, method: Method) -> MethodDescriptor:
        """Return the descriptor of the rpc."""
        return self.source.pool.FindMethodByName(method.full_name)

    def behaviors(self, field: FieldDescriptor) -> frozenset[Behavior]:
        """Return the field's behaviours."""
        return options.behaviors(self.source, field)


def message_of(resource: Resource) -> Descriptor:
    """Return the resource's message; those that were read from protos always have one."""
    assert resource.descriptor is not None
    return resource.descriptor


def owner_of(field: FieldDescriptor) -> str:
    """Return the full name of the message that declares the field."""
    return field.full_name.rpartition(".")[0]


def own_reachable(message: Descriptor) -> Iterator[Descriptor]:
    """Yield the own messages that values of `message` may hold, at any depth, without map entries."""
    for found in reachable(message.fields):
        if is_own(found.file.name) and not found.GetOptions().map_entry:
            yield found
