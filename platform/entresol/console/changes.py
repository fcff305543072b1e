"""Forms that make, change and delete records: what is filled in becomes a call, and mistakes stand at their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from entresol.console.calls import Outcome
from entresol.console.catalog import Catalog
from entresol.console.forms import filled, inputs, own_errors, writable
from entresol.console.page import Ask, Moved, Page, View, link
from entresol.console.resources import record_view
from entresol.errors import InvalidArgumentError
from entresol.schema.model import MethodKind, Resource
from entresol.service.table import Route


class Changes:
    """The pages of forms."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def pages(self) -> list[Page]:
        """Return them."""
        return [
            Page("GET", "/resources/{message}/new", self._new),
            Page("GET", "/resources/{message}/edit", self._edit),
            Page("POST", "/resources/{message}/new", self._create, writes=True),
            Page("POST", "/resources/{message}/edit", self._update, writes=True),
            Page("POST", "/resources/{message}/delete", self._delete, writes=True),
        ]

    async def _new(self, ask: Ask) -> View:
        return self._form(self._catalog.resource(ask), MethodKind.CREATE, ask, {})

    async def _edit(self, ask: Ask) -> View:
        resource = self._catalog.resource(ask)
        outcome = await self._catalog.get(resource, ask)
        if outcome.error is not None:
            return record_view(self._catalog, resource, outcome, ask)
        return self._form(resource, MethodKind.UPDATE, ask, outcome.shown)

    def _form(
        self,
        resource: Resource,
        kind: MethodKind,
        ask: Ask,
        values: Mapping[str, Any],
        outcome: Outcome | None = None,
    ) -> View:
        route, fields = self._catalog.route(resource, kind), writable(resource)
        violations = outcome.violations() if outcome is not None else {}
        names = {field.name for field in fields} | {field.name for field in _beside(route)}
        errors, others = own_errors(violations, str(route.method.resource_field), names)
        is_update = kind is MethodKind.UPDATE
        made = inputs(fields, self._catalog.comments, values, ask.form, errors, fixed=is_update)
        defaults = {"parent": ask.query.get("parent", "")}
        beside = inputs(_beside(route), self._catalog.comments, defaults, ask.form, errors)
        told = {
            **self._catalog.told(resource),
            "is_update": is_update,
            "inputs": sorted(made, key=lambda one: not one.is_required),
            "beside": [] if is_update else beside,
            "name": ask.given.get("name", ""),
            "etag": ask.form.get("etag", values.get("etag", "")),
            "outcome": outcome,
            "others": others,
            "can_check": "validate_only" in route.method.input.fields_by_name,
        }
        return View("form.html", told, 200 if outcome is None else outcome.status)

    async def _create(self, ask: Ask) -> View | Moved:
        resource = self._catalog.resource(ask)
        route = self._catalog.route(resource, MethodKind.CREATE)
        try:
            told, _ = filled(writable(resource), ask.form)
            beside, _ = filled(_beside(route), ask.form)
        except InvalidArgumentError as error:
            return self._form(resource, MethodKind.CREATE, ask, {}, _refused(error))
        request = {str(route.method.resource_field): told, **_without_empty(beside), **_check(ask)}
        return await self._sent(resource, MethodKind.CREATE, ask, request, "is made")

    async def _update(self, ask: Ask) -> View | Moved:
        resource = self._catalog.resource(ask)
        route = self._catalog.route(resource, MethodKind.UPDATE)
        try:
            told, names = filled(writable(resource), ask.form, changed=True)
        except InvalidArgumentError as error:
            return self._form(resource, MethodKind.UPDATE, ask, {}, _refused(error))
        name = ask.form.get("name", "")
        if not names:
            return Moved(link("resources", resource.message, "record", name=name), "nothing was changed")
        etag = {"etag": ask.form["etag"]} if ask.form.get("etag") else {}
        assert resource.descriptor is not None
        mask = ",".join(resource.descriptor.fields_by_name[one].json_name for one in names)
        record = {**told, "name": name, **etag}
        request = {str(route.method.resource_field): record, "updateMask": mask, **_check(ask)}
        return await self._sent(resource, MethodKind.UPDATE, ask, request, f"is changed: {', '.join(names)}")

    async def _sent(
        self, resource: Resource, kind: MethodKind, ask: Ask, request: Mapping[str, Any], what: str
    ) -> View | Moved:
        outcome = await self._catalog.caller.call(self._catalog.route(resource, kind), request, ask.session)
        if outcome.error is not None or ask.form.get("check"):
            return self._form(resource, kind, ask, {}, outcome)
        name = str(outcome.replies[0].name)  # type: ignore[attr-defined]  # the class is made from the proto
        return Moved(
            link("resources", resource.message, "record", name=name), f"{name} {what}", outcome.session
        )

    async def _delete(self, ask: Ask) -> View | Moved:
        resource = self._catalog.resource(ask)
        route = self._catalog.route(resource, MethodKind.DELETE)
        takes = route.method.input.fields_by_name
        name = ask.form.get("name", "")
        etag = {"etag": ask.form["etag"]} if ask.form.get("etag") and "etag" in takes else {}
        outcome = await self._catalog.caller.call(route, {"name": name, **etag}, ask.session)
        if outcome.error is not None:
            return record_view(self._catalog, resource, outcome, ask)
        return Moved(link("resources", resource.message), f"{name} is deleted", outcome.session)


def _beside(route: Route) -> list[FieldDescriptor]:
    """Return the fields of a Create request that say where the record goes: parent and id."""
    left_out = {route.method.resource_field, "request_id", "validate_only"}
    return [field for field in route.method.input.fields if field.name not in left_out]


def _check(ask: Ask) -> dict[str, bool]:
    return {"validate_only": True} if ask.form.get("check") else {}


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != ""}


def _refused(error: InvalidArgumentError) -> Outcome:
    violations = [{"field": one.field, "description": one.description} for one in error.violations]
    told = {
        "status": "INVALID_ARGUMENT",
        "message": error.message,
        "details": [{"fieldViolations": violations}],
    }
    return Outcome((), told, 400, 0.0, {})
