"""The resources that pages show: what the schema says of each, the methods that it has, and how they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from entresol.console.calls import Caller, Outcome
from entresol.console.forms import type_of
from entresol.console.page import Ask
from entresol.errors import NotFoundError
from entresol.schema.model import MethodKind, Model, Resource
from entresol.service.call import CONSISTENCY_KEY
from entresol.service.table import Route


@dataclass
class Catalog:
    """The resources of a model. `comments` are those of its protos, by full name."""

    model: Model
    table: Mapping[str, Route]
    comments: Mapping[str, str]
    caller: Caller
    _routes: dict[str, dict[MethodKind, Route]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for route in self.table.values():
            if route.method.resource is not None:
                self._routes.setdefault(route.method.resource.message, {})[route.method.kind] = route

    def resource(self, ask: Ask) -> Resource:
        """Return the resource of a page's path; NotFoundError where there is none."""
        message = ask.parts["message"]
        if message not in self.model.by_message:
            raise NotFoundError(message)
        return self.model.by_message[message]

    def routes(self, resource: Resource) -> Mapping[MethodKind, Route]:
        """Return the standard methods of a resource."""
        return self._routes.get(resource.message, {})

    def route(self, resource: Resource, kind: MethodKind) -> Route:
        """Return one of them; NotFoundError where there is none."""
        route = self.routes(resource).get(kind)
        if route is None:
            raise NotFoundError(f"a {kind.value} method of {resource.message}")
        return route

    async def get(self, resource: Resource, ask: Ask) -> Outcome:
        """Call Get with the name that a page was asked for, as consistent as it was asked for."""
        level = ask.query.get("consistency", "")
        metadata = {CONSISTENCY_KEY: level} if level else {}
        request = {"name": ask.given.get("name", "")}
        return await self.caller.call(self.route(resource, MethodKind.GET), request, ask.session, metadata)

    def told(self, resource: Resource) -> dict[str, Any]:
        """Return what every page of a resource says of it."""
        assert resource.descriptor is not None
        routes = self.routes(resource)
        return {
            "resource": resource,
            "comment": self.comments.get(resource.message, ""),
            "can": {kind.value for kind in routes},
            "paths": {kind.value: route.method.path for kind, route in routes.items()},
            "schema": [
                (one, type_of(one), self.comments.get(one.full_name, ""))
                for one in resource.descriptor.fields
            ],
            "behaviors": {
                one.name: sorted(behavior.name.lower() for behavior in one.behaviors)
                for one in resource.fields
            },
        }
