"""The schema as a browser of records: resource types, lists, and records with all their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from entresol.console.calls import Outcome
from entresol.console.catalog import Catalog
from entresol.console.forms import type_of
from entresol.console.page import Ask, Page, View
from entresol.redaction import HIDDEN, is_marked, message_shown
from entresol.schema.model import Behavior, Kind, MethodKind, Resource
from entresol.schema.shapes import shape_of

_COLUMNS_MAX = 6
_LISTED_LAST = frozenset({"uid", "etag", "update_time", "delete_time", "purge_time"})
_ASKED = ("parent", "filter", "order_by", "page_size", "page_token", "show_deleted")
_PAGE_SIZE = 25


class Resources:
    """The pages of resources and records."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def pages(self) -> list[Page]:
        """Return them."""
        return [
            Page("GET", "/resources", self._types),
            Page("GET", "/resources/{message}", self._list),
            Page("GET", "/resources/{message}/record", self._record),
        ]

    async def _types(self, _ask: Ask) -> View:
        resources = [*self._catalog.model.resources.values()]
        kinds = {one.message: [*self._catalog.routes(one)] for one in resources}
        return View(
            "resources.html", {"resources": resources, "kinds": kinds, "comments": self._catalog.comments}
        )

    async def _list(self, ask: Ask) -> View:
        resource = self._catalog.resource(ask)
        route = self._catalog.routes(resource).get(MethodKind.LIST)
        values: dict[str, Any] = {
            **self._catalog.told(resource),
            "asked": dict.fromkeys(_ASKED, ""),
            "rows": [],
            "next": "",
        }
        if route is None:
            return View("list.html", {**values, "outcome": None, "takes": (), "columns": (), "orders": ()})
        takes = [name for name in _ASKED if name in route.method.input.fields_by_name]
        asked = {name: ask.query.get(name, "") for name in _ASKED}
        if "parent" in takes and not asked["parent"]:
            asked["parent"] = "-"  # all of them
        asked["page_size"] = asked["page_size"] or str(_PAGE_SIZE)
        outcome = await self._catalog.caller.call(
            route, {name: asked[name] for name in takes if asked[name]} | _flag(asked), ask.session
        )
        reply: Any = outcome.replies[0] if outcome.replies else route.method.output_class()
        found = [message_shown(one) for one in getattr(reply, str(route.method.resource_field))]
        values |= {
            "outcome": outcome,
            "asked": asked,
            "takes": takes,
            "columns": _columns(resource, found),
            "orders": _orders(resource),
            "rows": found,
            "next": reply.next_page_token,
        }
        return View("list.html", values, outcome.status, outcome.session)

    async def _record(self, ask: Ask) -> View:
        resource = self._catalog.resource(ask)
        return record_view(self._catalog, resource, await self._catalog.get(resource, ask), ask)


def record_view(catalog: Catalog, resource: Resource, outcome: Outcome, ask: Ask) -> View:
    """Return the page of a record that a call returned, or of the error that it returned instead."""
    assert resource.descriptor is not None
    shown = outcome.shown if outcome.replies else {}
    fields = [
        {
            "name": field.name,
            "type": type_of(field),
            "help": catalog.comments.get(field.full_name, ""),
            "value": _shown(field, outcome, shown),
            "is_time": shape_of(field).kind is Kind.TIMESTAMP and not field.is_repeated,
            "refers": _referred(catalog, resource, field),
        }
        for field in resource.descriptor.fields
    ]
    values = {
        **catalog.told(resource),
        "outcome": outcome,
        "name": ask.given.get("name", ""),
        "fields": fields,
        "etag": shown.get("etag", ""),
        "consistency": ask.query.get("consistency", ""),
        "children": [one for one in catalog.model.resources.values() if resource.type in one.parents],
    }
    return View("record.html", values, outcome.status, outcome.session)


def _referred(catalog: Catalog, resource: Resource, field: FieldDescriptor) -> str:
    """Return the message of the resource that a field names; empty where it may be any."""
    known = resource.by_name.get(field.name)
    if known is None or known.reference is None:
        return ""
    found = catalog.model.resources.get(known.reference.type)
    return "" if found is None else found.message


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


def _flag(asked: Mapping[str, str]) -> dict[str, bool]:
    return {"show_deleted": True} if asked["show_deleted"] else {}
