"""The schema as a browser of records: types, lists, records, and forms to change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from entresol.console.calls import Caller, Outcome
from entresol.console.forms import Input, filled, inputs, own_errors, type_of, writable
from entresol.console.page import Ask, Moved, Page, View, link
from entresol.errors import InvalidArgumentError, NotFoundError
from entresol.redaction import HIDDEN, is_marked, message_shown
from entresol.schema.model import Behavior, Kind, MethodKind, Model, Resource
from entresol.schema.shapes import shape_of
from entresol.service.table import Route

_COLUMNS_MAX = 7
_LISTED_LAST = frozenset({"uid", "etag", "update_time", "delete_time", "purge_time"})
_ASKED = ("parent", "filter", "order_by", "page_size", "page_token", "show_deleted")
_PAGE_SIZE = 25


class Resources:
    """The pages of resources."""

    def __init__(
        self, model: Model, table: Mapping[str, Route], comments: Mapping[str, str], caller: Caller
    ) -> None:
        self._model = model
        self._comments = comments
        self._caller = caller
        self._routes = {
            (route.method.resource.message, route.method.kind): route
            for route in table.values()
            if route.method.resource is not None
        }

    def pages(self) -> list[Page]:
        """Return them."""
        return [
            Page("GET", "/resources", self._types),
            Page("GET", "/resources/{message}", self._list),
            Page("GET", "/resources/{message}/record", self._record),
            Page("GET", "/resources/{message}/new", self._new),
            Page("GET", "/resources/{message}/edit", self._edit),
            Page("POST", "/resources/{message}/new", self._create, writes=True),
            Page("POST", "/resources/{message}/edit", self._update, writes=True),
            Page("POST", "/resources/{message}/delete", self._delete, writes=True),
        ]

    async def _types(self, _ask: Ask) -> View:
        kinds = {
            resource.message: [kind for (message, kind) in self._routes if message == resource.message]
            for resource in self._model.resources.values()
        }
        values = {"resources": [*self._model.resources.values()], "kinds": kinds, "comments": self._comments}
        return View("resources.html", values)

    async def _list(self, ask: Ask) -> View:
        resource = self._resource(ask)
        route = self._routes.get((resource.message, MethodKind.LIST))
        values: dict[str, Any] = {
            **self._told(resource),
            "asked": dict.fromkeys(_ASKED, ""),
            "rows": [],
            "next": "",
        }
        if route is None:
            return View("list.html", {**values, "outcome": None, "takes": (), "columns": (), "orders": ()})
        takes = [name for name in _ASKED if name in route.method.input.fields_by_name]
        asked = {name: ask.query.get(name, "") for name in _ASKED}
        if "parent" in takes and not asked["parent"]:
            asked["parent"] = "-" if resource.patterns[0].parent_segments.count("/") < 2 else "-/-"
        asked["page_size"] = asked["page_size"] or str(_PAGE_SIZE)
        outcome = await self._caller.call(
            route, {name: asked[name] for name in takes if asked[name]} | _flag(asked), ask.session
        )
        reply: Any = outcome.replies[0] if outcome.replies else None
        found = (
            []
            if reply is None
            else [message_shown(one) for one in getattr(reply, str(route.method.resource_field))]
        )
        values |= {
            "outcome": outcome,
            "asked": asked,
            "takes": takes,
            "columns": _columns(resource, found),
            "orders": _orders(resource),
            "rows": found,
            "next": "" if reply is None else reply.next_page_token,
        }
        return View("list.html", values, outcome.status, outcome.session)

    async def _record(self, ask: Ask) -> View:
        resource = self._resource(ask)
        outcome = await self._get(resource, ask)
        return View(
            "record.html", {**self._record_values(resource, outcome, ask)}, outcome.status, outcome.session
        )

    async def _get(self, resource: Resource, ask: Ask) -> Outcome:
        route = self._route(resource, MethodKind.GET)
        metadata = {"entresol-consistency": level} if (level := ask.query.get("consistency", "")) else {}
        return await self._caller.call(route, {"name": ask.given.get("name", "")}, ask.session, metadata)

    def _record_values(self, resource: Resource, outcome: Outcome, ask: Ask) -> dict[str, Any]:
        assert resource.descriptor is not None
        shown = outcome.shown if outcome.replies else {}
        fields = [
            {
                "name": field.name,
                "type": type_of(field),
                "help": self._comments.get(field.full_name, ""),
                "value": _shown(field, outcome, shown),
                "is_time": shape_of(field).kind is Kind.TIMESTAMP and not field.is_repeated,
                "refers": self._referred(resource, field),
            }
            for field in resource.descriptor.fields
        ]
        return {
            **self._told(resource),
            "outcome": outcome,
            "name": ask.given.get("name", ""),
            "fields": fields,
            "etag": shown.get("etag", ""),
            "consistency": ask.query.get("consistency", ""),
            "children": [one for one in self._model.resources.values() if resource.type in one.parents],
        }

    def _referred(self, resource: Resource, field: FieldDescriptor) -> str:
        """Return the message of the resource that a field names; empty where it may be any."""
        known = resource.by_name.get(field.name)
        found = (
            None
            if known is None or known.reference is None
            else self._model.resources.get(known.reference.type)
        )
        return "" if found is None else found.message

    async def _new(self, ask: Ask) -> View:
        return self._form(self._resource(ask), MethodKind.CREATE, ask, {})

    async def _edit(self, ask: Ask) -> View:
        resource = self._resource(ask)
        outcome = await self._get(resource, ask)
        if outcome.error is not None:
            return View("record.html", self._record_values(resource, outcome, ask), outcome.status)
        return self._form(resource, MethodKind.UPDATE, ask, outcome.shown)

    def _form(
        self,
        resource: Resource,
        kind: MethodKind,
        ask: Ask,
        values: Mapping[str, Any],
        outcome: Outcome | None = None,
    ) -> View:
        route, fields = self._route(resource, kind), writable(resource)
        violations = outcome.violations() if outcome is not None else {}
        names = {field.name for field in fields} | {field.name for field in _beside(route)}
        errors, others = own_errors(violations, str(route.method.resource_field), names)
        is_update = kind is MethodKind.UPDATE
        made: list[Input] = inputs(fields, self._comments, values, ask.form, errors, fixed=is_update)
        defaults = {"parent": ask.query.get("parent", "")}
        beside = inputs(_beside(route), self._comments, defaults, ask.form, errors)
        told = {
            **self._told(resource),
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
        resource = self._resource(ask)
        route = self._route(resource, MethodKind.CREATE)
        try:
            told, _ = filled(writable(resource), ask.form)
            beside, _ = filled(_beside(route), ask.form)
        except InvalidArgumentError as error:
            return self._form(resource, MethodKind.CREATE, ask, {}, _refused(error))
        request = {str(route.method.resource_field): told, **_without_empty(beside), **_check(ask)}
        return await self._sent(resource, MethodKind.CREATE, ask, request, "is made")

    async def _update(self, ask: Ask) -> View | Moved:
        resource = self._resource(ask)
        route = self._route(resource, MethodKind.UPDATE)
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
        outcome = await self._caller.call(self._route(resource, kind), request, ask.session)
        if outcome.error is not None or ask.form.get("check"):
            return self._form(resource, kind, ask, {}, outcome)
        name = str(outcome.replies[0].name)  # type: ignore[attr-defined]  # the class is made from the proto
        return Moved(
            link("resources", resource.message, "record", name=name), f"{name} {what}", outcome.session
        )

    async def _delete(self, ask: Ask) -> View | Moved:
        resource = self._resource(ask)
        route = self._route(resource, MethodKind.DELETE)
        takes = route.method.input.fields_by_name
        name = ask.form.get("name", "")
        etag = {"etag": ask.form["etag"]} if ask.form.get("etag") and "etag" in takes else {}
        outcome = await self._caller.call(route, {"name": name, **etag}, ask.session)
        if outcome.error is not None:
            return View("record.html", self._record_values(resource, outcome, ask), outcome.status)
        return Moved(link("resources", resource.message), f"{name} is deleted", outcome.session)

    def _resource(self, ask: Ask) -> Resource:
        for resource in self._model.resources.values():
            if resource.message == ask.parts["message"]:
                return resource
        raise NotFoundError(ask.parts["message"])

    def _route(self, resource: Resource, kind: MethodKind) -> Route:
        route = self._routes.get((resource.message, kind))
        if route is None:
            raise NotFoundError(f"a {kind.value} method of {resource.message}")
        return route

    def _told(self, resource: Resource) -> dict[str, Any]:
        assert resource.descriptor is not None
        known = [kind for (message, kind) in self._routes if message == resource.message]
        return {
            "resource": resource,
            "comment": self._comments.get(resource.message, ""),
            "can": {kind.value for kind in known},
            "paths": {kind.value: self._routes[resource.message, kind].method.path for kind in known},
            "schema": [
                (field, type_of(field), self._comments.get(field.full_name, ""))
                for field in resource.descriptor.fields
            ],
            "behaviors": {one.name: sorted(b.name.lower() for b in one.behaviors) for one in resource.fields},
        }


def _shown(field: FieldDescriptor, outcome: Outcome, shown: Mapping[str, Any]) -> Any:
    """Return a field's value as JSON has it; None of one that is not set."""
    if outcome.replies and is_marked(field) and field.name not in shown:
        return HIDDEN
    return shown.get(field.name)


def _columns(resource: Resource, rows: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Return the fields that a list shows: the name, what must be there or is indexed, and others that have a value."""
    assert resource.descriptor is not None
    indexed = {column for index in resource.indexes for column, _ in index.columns}

    def rank(field: FieldDescriptor) -> tuple[int, int]:
        known = resource.by_name.get(field.name)
        if field.name == "name":
            return 0, 0
        if known is not None and (Behavior.REQUIRED in known.behaviors or field.name in indexed):
            return 1, field.number
        return (3 if field.name in _LISTED_LAST else 2), field.number

    plain = [
        field
        for field in resource.descriptor.fields
        if shape_of(field).kind not in (Kind.MAP, Kind.MESSAGE, Kind.BYTES)
        and not field.is_repeated
        and (not rows or any(row.get(field.name) not in (None, "") for row in rows))
    ]
    chosen = sorted(
        sorted(plain, key=rank)[:_COLUMNS_MAX], key=lambda field: (field.name != "name", field.number)
    )
    return [field.name for field in chosen]


def _orders(resource: Resource) -> list[str]:
    """Return the orders that an index serves."""
    return [
        ", ".join(f"{column} desc" if is_descending else column for column, is_descending in index.columns)
        for index in resource.indexes
    ]


def _beside(route: Route) -> list[FieldDescriptor]:
    """Return the fields of a Create request that say where the record goes: parent and id."""
    left_out = {route.method.resource_field, "request_id", "validate_only"}
    return [field for field in route.method.input.fields if field.name not in left_out]


def _flag(asked: Mapping[str, str]) -> dict[str, bool]:
    return {"show_deleted": True} if asked["show_deleted"] else {}


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
