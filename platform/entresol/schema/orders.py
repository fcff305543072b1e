"""The order of List (AIP-132): what an index can serve, and always total, so that pages never overlap."""

from __future__ import annotations

from dataclasses import dataclass

from entresol.errors import InvalidArgumentError
from entresol.schema.model import Field, Index, Resource, Role

LENGTH_MAX = 1024
_DIRECTIONS = {"asc": False, "desc": True}
_FIELD = "order_by"


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One field to order by."""

    field: Field
    descending: bool


def parse_order(text: str, resource: Resource) -> tuple[OrderTerm, ...]:
    """Return the terms of an `order_by`, the last of which is always the name; "" orders by name alone.

    Apart from the name, the terms must begin an index of the resource, in its directions or in all the
    opposite ones.

    Raises:
        InvalidArgumentError: of the field `order_by`: syntax, no such field, or no index for it.
    """
    if len(text) > LENGTH_MAX:
        raise _fault(f"it has {len(text)} characters; at most {LENGTH_MAX} are read")
    terms = [_term(item, resource) for item in text.split(",")] if text.strip() else []
    _refuse_repetition(terms)
    if not _is_served([term for term in terms if term.field.role is not Role.NAME], resource):
        raise _unindexed(terms, resource)
    return tuple(terms) if terms and _is_name(terms[-1]) else (*terms, _by_name(resource))


def _by_name(resource: Resource) -> OrderTerm:
    return OrderTerm(resource.by_role[Role.NAME], descending=False)


def _is_name(term: OrderTerm) -> bool:
    return term.field.role is Role.NAME


def _term(item: str, resource: Resource) -> OrderTerm:
    match item.split():
        case [name]:
            return OrderTerm(_field(name, resource), descending=False)
        case [name, direction] if direction in _DIRECTIONS:
            return OrderTerm(_field(name, resource), _DIRECTIONS[direction])
        case _:
            raise _fault(f"expected a field, with desc behind it or not, found {item.strip()!r}")


def _field(name: str, resource: Resource) -> Field:
    field = resource.by_name.get(name)
    if field is not None and field.input_only:
        raise _fault(f"{name} is only accepted, never shown, and cannot be ordered by; {_remedy(resource)}")
    if field is not None:
        return field
    if name.partition(".")[0] in resource.by_name:
        raise _fault(f"{name} is inside a message or map, which cannot be ordered by; {_remedy(resource)}")
    raise _fault(f"{resource.message} has no field {name!r}; {_remedy(resource)}")


def _refuse_repetition(terms: list[OrderTerm]) -> None:
    names = [term.field.name for term in terms]
    if len(set(names)) < len(names):
        raise _fault("a field stands in it twice; name each field once")
    if any(_is_name(term) for term in terms[:-1]):
        raise _fault("name stands before other fields, which then order nothing: no two names are equal")


def _is_served(terms: list[OrderTerm], resource: Resource) -> bool:
    wanted = [(term.field.column.name if term.field.column else "", term.descending) for term in terms]
    opposite = [(column, not descending) for column, descending in wanted]
    prefixes = [list(index.columns[: len(wanted)]) for index in resource.indexes]
    return not wanted or wanted in prefixes or opposite in prefixes


def _unindexed(terms: list[OrderTerm], resource: Resource) -> InvalidArgumentError:
    asked = ", ".join(_spelled(term.field.name, descending=term.descending) for term in terms)
    return _fault(f"no index serves the order {asked}; {_remedy(resource)}")


def _remedy(resource: Resource) -> str:
    orders = ["name", *(_index_text(index, resource) for index in resource.indexes)]
    return f"possible are, also reversed: {'; '.join(orders)}"


def _index_text(index: Index, resource: Resource) -> str:
    fields = {field.column.name: field.name for field in resource.stored if field.column is not None}
    return ", ".join(
        _spelled(fields[name], descending=down) for name, down in index.columns if name in fields
    )


def _spelled(name: str, *, descending: bool) -> str:
    return f"{name} desc" if descending else name


def _fault(description: str) -> InvalidArgumentError:
    return InvalidArgumentError.of(_FIELD, description, "INVALID_ORDER")
