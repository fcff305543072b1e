"""Everything that is checked of a request before it acts, compiled once a method, all violations at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from entresol.errors import InvalidArgumentError, Violation
from entresol.schema import check_names
from entresol.schema.check_declared import DeclaredRules
from entresol.schema.check_values import Leaf
from entresol.schema.check_walk import REQUIRED, Compiler
from entresol.schema.clearing import clear_input_only, clear_output_only
from entresol.schema.filters import parse
from entresol.schema.mask_tree import NOTHING, WHOLE, Mask
from entresol.schema.masks import parse_mask, populated
from entresol.schema.model import IdSource, Method, MethodKind, Model, Resource
from entresol.schema.orders import parse_order
from entresol.schema.shapes import descriptor_of

__all__ = [
    "BATCH_SIZE_MAX",
    "VIOLATIONS_MAX",
    "RequestCheck",
    "clear_input_only",
    "clear_output_only",
]

BATCH_SIZE_MAX = 1000
VIOLATIONS_MAX = 100
_MIXED = "must be the same in all requests: all of them are done, or none"
_ID_TWICE = "is that of requests[{}]; give every request a new UUID"
_OTHER_PARENT = "must be empty or the parent of the batch"
_NOT_BELOW = "is not below the parent of the batch"
_SERVER_CHOOSES = "the server chooses ids here"
_LIST_TEXTS: dict[str, Callable[[str, Resource], object]] = {"filter": parse, "order_by": parse_order}
_WITH_WILDCARD = frozenset({MethodKind.LIST, MethodKind.BATCH_GET})


class RequestCheck:
    """The check of one method's requests. `clear_output_only` comes first: what it clears is not judged.

    Raises:
        ConfigurationError: a `buf.validate` rule of the request cannot be compiled.
    """

    def __init__(self, method: Method, model: Model, *, batch_size_max: int = BATCH_SIZE_MAX) -> None:
        self._method = method
        self._batch_size_max = batch_size_max
        self._walk = Compiler(model).request(method.input, wildcard=method.kind in _WITH_WILDCARD)
        self._declared = DeclaredRules(method.input_class, model.pool)
        self._own = self._own_check(method)
        if method.resource is not None:
            self._name = check_names.matching(method.resource.patterns)
            self._merged = DeclaredRules(method.resource.message_class, model.pool)

    def violations(self, message: Message, *, creating: bool = False) -> list[Violation]:
        """Return everything wrong with a request, at most 100 things; of an update, only in what its mask covers.

        `creating` checks an update with `allow_missing` that found nothing as the Create that it then is.
        """
        found: list[Violation] = []
        mask = WHOLE
        if self._method.kind is MethodKind.UPDATE:
            mask = self._update_mask(message, found, creating=creating)
        self._walk.check(message, "", mask, found)
        if self._own is not None:
            found = self._own(message, found)
        return _with_declared(found, self._declared, message, mask)

    def require(self, message: Message, *, creating: bool = False) -> None:
        """Raise InvalidArgumentError with every violation, or return."""
        found = self.violations(message, creating=creating)
        if found:
            raise InvalidArgumentError(found)

    @property
    def needs_record(self) -> bool:
        """Whether an update of any field can break a rule over several, which only the whole record can show."""
        return self._method.resource is not None and self._merged.over_fields

    def merged_violations(self, merged: Message, mask: Mask) -> list[Violation]:
        """Return what `buf.validate` rules over several fields find in a record that an update was merged into.

        `violations` cannot see them when the mask covers only some of the fields.
        """
        at = self._method.resource_field
        return [_moved(one, at) for one in self._merged.merged_violations(merged, mask)]

    def _own_check(self, method: Method) -> Callable[[Any, list[Violation]], list[Violation]] | None:
        """Return what only this kind of method asks for."""
        match method.kind:
            case MethodKind.CREATE:
                return self._create
            case MethodKind.BATCH_CREATE:
                return self._batch_create
            case MethodKind.BATCH_GET:
                return self._batch_get
            case MethodKind.LIST:
                return self._list
        return None

    def _update_mask(self, message: Any, found: list[Violation], *, creating: bool) -> Mask:
        """Return the mask of the whole request: everything, but of the resource only what is to change."""
        at = self._method.resource_field
        assert at is not None
        resource = getattr(message, at)
        if not message.HasField(at):
            found.append(Violation(at, REQUIRED, "REQUIRED"))
            return NOTHING
        _judge(self._name, resource.name, f"{at}.name", found)
        if creating and self._method.resource is not None:
            _judge_new_name(self._method.resource, resource.name, f"{at}.name", found)
        mask = WHOLE if creating else _mask_of(message, resource, found)
        return Mask({field.name: mask if field.name == at else WHOLE for field in self._method.input.fields})

    def _create(self, message: Any, found: list[Violation]) -> list[Violation]:
        assert self._method.resource is not None
        _judge_id(message, self._method.input, self._method.resource, "", found)
        return found

    def _batch_create(self, message: Any, found: list[Violation]) -> list[Violation]:
        resource = self._method.resource
        assert resource is not None
        self._judge_size(len(message.requests), "requests", found)
        parent = getattr(message, "parent", "")
        for index, request in enumerate(message.requests):
            at = f"requests[{index}]."
            _judge_id(request, request.DESCRIPTOR, resource, at, found)
            if parent and request.parent not in ("", parent):
                found.append(Violation(f"{at}parent", _OTHER_PARENT, "PARENT_MISMATCH"))
        _judge_hoisted(message, found)
        return [one for one in found if not (parent and _is_inherited(one))]

    def _batch_get(self, message: Any, found: list[Violation]) -> list[Violation]:
        self._judge_size(len(message.names), "names", found)
        parent, malformed = getattr(message, "parent", ""), {violation.field for violation in found}
        for index, name in enumerate(message.names):
            at = f"names[{index}]"
            if not name:
                found.append(Violation(at, "must not be empty", "REQUIRED"))
            elif at not in malformed and not check_names.is_below(name, parent):
                found.append(Violation(at, _NOT_BELOW, "PARENT_MISMATCH"))
        return found

    def _list(self, message: Any, found: list[Violation]) -> list[Violation]:
        assert self._method.resource is not None
        for name, parse_text in _LIST_TEXTS.items():
            try:
                parse_text(getattr(message, name, ""), self._method.resource)
            except InvalidArgumentError as error:
                found += error.violations
        return found

    def _judge_size(self, size: int, field: str, found: list[Violation]) -> None:
        if size > self._batch_size_max:
            text = f"has {size} elements; at most {self._batch_size_max} are allowed in one call"
            found.append(Violation(field, text, "BATCH_TOO_LARGE"))


def _with_declared(
    found: list[Violation], rules: DeclaredRules, message: Message, mask: Mask
) -> list[Violation]:
    """Return the violations and those of declared rules, which say nothing new of a field that is wrong already."""
    if rules.active:
        known = {violation.field for violation in found}
        found += [one for one in rules.violations(message, mask) if one.field not in known]
    return found[:VIOLATIONS_MAX]


def _judge(leaf: Leaf, value: str, path: str, found: list[Violation]) -> None:
    if not value:
        found.append(Violation(path, REQUIRED, "REQUIRED"))
    elif (problem := leaf(value)) is not None:
        found.append(Violation(path, problem.description, problem.reason))


def _judge_id(
    request: Any, descriptor: Descriptor, resource: Resource, at: str, found: list[Violation]
) -> None:
    name = _id_field(descriptor, resource)
    if name is None:
        return
    given = getattr(request, name)
    if resource.id_source is IdSource.SERVER and given:
        found.append(Violation(at + name, f"must be empty: {_SERVER_CHOOSES}", "INVALID_ID"))
    elif given or resource.id_source is IdSource.CLIENT:
        _judge(check_names.new_id, given, at + name, found)


def _judge_hoisted(batch: Any, found: list[Violation]) -> None:
    """Judge what holds for a batch as a whole, and stands in each of its requests."""
    first: dict[str, int] = {}
    for index, request in enumerate(batch.requests):
        if getattr(request, "validate_only", False) is not getattr(batch.requests[0], "validate_only", False):
            found.append(Violation(f"requests[{index}].validate_only", _MIXED))
        request_id = getattr(request, "request_id", "").lower()
        if request_id and first.setdefault(request_id, index) != index:
            text = _ID_TWICE.format(first[request_id])
            found.append(Violation(f"requests[{index}].request_id", text))


def _judge_new_name(resource: Resource, name: str, path: str, found: list[Violation]) -> None:
    """Judge the name that an update of nothing would create."""
    if resource.id_source is IdSource.SERVER:
        found.append(
            Violation(path, f"names nothing, and cannot be created: {_SERVER_CHOOSES}", "INVALID_ID")
        )
    elif not resource.patterns[0].singleton:
        _judge(check_names.new_id, name.rpartition("/")[2], path, found)


def _mask_of(message: Any, resource: Message, found: list[Violation]) -> Mask:
    """Return what an update changes; when its mask is wrong, nothing more is judged than that."""
    given = getattr(message, "update_mask", None)
    if given is None or not given.paths:
        return populated(resource)
    try:
        return parse_mask(given.paths, descriptor_of(resource), write=True)
    except InvalidArgumentError as error:
        found.extend(error.violations)
        return NOTHING


def _id_field(request: Descriptor, resource: Resource) -> str | None:
    """Return the name of the request's field for the id of the new resource, if it has one."""
    holders = [
        one.name
        for one in request.fields
        if one.message_type and one.message_type.full_name == resource.message
    ]
    names = [f"{holder}_id" for holder in holders]
    return next((name for name in names if name in request.fields_by_name), None)


def _is_inherited(violation: Violation) -> bool:
    """Tell whether it is the missing parent of a request in a batch that has one itself."""
    parts = violation.field.split(".")
    return violation.reason == "REQUIRED" and parts[0].startswith("requests[") and parts[1:] == ["parent"]


def _moved(violation: Violation, at: str | None) -> Violation:
    """Return a violation of a resource as one of the request that holds it in the field `at`."""
    if at is None:
        return violation
    path = at if violation.field == "request" else f"{at}.{violation.field}"
    return Violation(path, violation.description, violation.reason)
