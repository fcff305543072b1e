"""What every resource of every proto must do, as cases for pytest: a new proto brings its own tests.

from entresol.testing.conformance import cases

@pytest.mark.parametrize("case", cases(), ids=str)
def test_conformance(case, platform):
    case.run(platform.address)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from entresol.app import load_model
from entresol.config import Settings
from entresol.errors import Code
from entresol.schema.model import IdSource, Method, MethodKind, Model, Resource, Role
from entresol.service.call import SESSION_KEY
from entresol.service.status import CallFailedError
from entresol.testing.examples import changeable, example, example_id, other_value
from entresol.transport.caller import Caller, Metadata


@dataclass(slots=True)
class Subject:
    """One resource on a running server, with a verb for each standard method it has.

    `metadata` goes with every call; `session` is carried from call to call, as clients do that want to see what they
    wrote.
    """

    model: Model
    resource: Resource
    caller: Caller
    metadata: Metadata = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)
    methods: dict[MethodKind, Method] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = (m for m in self.model.methods.values() if m.resource is self.resource)
        self.methods = {method.kind: method for method in found}

    def has(self, *kinds: MethodKind) -> bool:
        """Tell whether the resource has all these methods."""
        return all(kind in self.methods for kind in kinds)

    def call(self, kind: MethodKind, **values: Any) -> Any:
        """Call the standard method and return its reply as a message of the model."""
        method = self.methods[kind]
        request = method.input_class(**values)
        answer = self.caller.call(method.path, request, {**self.metadata, **self.session})
        if SESSION_KEY in answer.trailing:
            self.session[SESSION_KEY] = answer.trailing[SESSION_KEY]
        return method.output_class.FromString(answer.reply.SerializeToString())

    def other(self, resource: Resource) -> Subject:
        """Return another resource on the same server."""
        return Subject(self.model, resource, self.caller, self.metadata, self.session)

    def parent(self) -> dict[str, str]:
        """Return the `parent` argument of a new record, creating the parent; nothing at the top level."""
        if not self.resource.parents:
            return {}
        return {"parent": self.other(self.model.resources[self.resource.parents[0]]).create().name}

    def example(self) -> Message:
        """Return a valid record that is not created yet."""
        return example(self.model, self.resource, lambda resource: self.other(resource).create().name)

    def create(self, parent: dict[str, str] | None = None, **values: Any) -> Any:
        """Create an example record, and whatever it needs first."""
        method = self.methods[MethodKind.CREATE]
        where = self.parent() if parent is None else parent
        return self.call(
            MethodKind.CREATE, **{method.resource_field or "": self.example()}, **where, **values
        )

    def fails(self, code: Code, kind: MethodKind, **values: Any) -> None:
        """Require that the call fails with `code` and an ErrorInfo."""
        try:
            self.call(kind, **values)
        except CallFailedError as error:
            failure = error
        else:
            raise AssertionError(f"the call succeeded; it should fail with {code.name}")
        assert failure.code == code, f"{failure.code.name}, not {code.name}: {failure}"
        assert any(detail.type_url.endswith("ErrorInfo") for detail in failure.status.details)


Check = Callable[[Subject], None]
_checks: list[tuple[tuple[MethodKind, ...], Check]] = []
K = MethodKind


def _needs(*kinds: MethodKind) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        _checks.append((kinds, check))
        return check

    return register


@dataclass(frozen=True, slots=True)
class Case:
    """One check of one resource."""

    model: Model = field(repr=False)
    resource: Resource = field(repr=False)
    check: Check

    def __str__(self) -> str:
        """Name the case for pytest."""
        return f"{self.resource.message}-{self.check.__name__}"

    def run(self, address: str, metadata: Metadata | None = None) -> None:
        """Run the check on the server at `address`; AssertionError says what is wrong.

        `metadata` goes with every call: what a policy asks of a caller who may do everything.
        """
        with Caller(address) as caller:
            self.check(Subject(self.model, self.resource, caller, metadata or {}))


def cases(model: Model | None = None) -> list[Case]:
    """Return every check that the methods of every resource allow: of the model, else of the settings' protos."""
    model = model or load_model(Settings.load())
    found = []
    for resource in model.resources.values():
        kinds = {method.kind for method in model.methods.values() if method.resource is resource}
        found += [Case(model, resource, check) for needed, check in _checks if kinds.issuperset(needed)]
    return found


@_needs(K.CREATE, K.GET)
def what_is_created_can_be_read(subject: Subject) -> None:
    """Rule 27: read-your-writes, and rule 87: the reply is the record."""
    created = subject.create()
    assert subject.call(K.GET, name=created.name) == created


@_needs(K.GET)
def what_does_not_exist_is_not_found(subject: Subject) -> None:
    """Rule 141, and that knowing it once does not hide a later record."""
    pattern = subject.resource.patterns[0]
    name = pattern.format(**dict.fromkeys(pattern.variables, "nothing-here"))
    subject.fails(Code.NOT_FOUND, K.GET, name=name)
    subject.fails(Code.NOT_FOUND, K.GET, name=name)


@_needs(K.GET)
def a_malformed_name_is_refused(subject: Subject) -> None:
    """Rule 6: names have the form of a pattern."""
    for name in ("", "//", "no/such/collection/at/all", "x" * 2000, f"{subject.resource.plural}/"):
        subject.fails(Code.INVALID_ARGUMENT, K.GET, name=name)


@_needs(K.CREATE)
def a_name_can_be_taken_once(subject: Subject) -> None:
    """Rule 90: ALREADY_EXISTS, and nothing changes."""
    method = subject.methods[K.CREATE]
    id_field = f"{method.resource_field}_id"
    if id_field not in method.input.fields_by_name or subject.resource.id_source is IdSource.SERVER:
        return
    parent, chosen = subject.parent(), example_id(subject.resource)
    first = subject.create(parent, **{id_field: chosen})
    assert first.name.endswith(f"/{chosen}")
    values = {method.resource_field or "": subject.example(), id_field: chosen}
    subject.fails(Code.ALREADY_EXISTS, K.CREATE, **values, **parent)


@_needs(K.CREATE)
def a_missing_parent_is_not_found(subject: Subject) -> None:
    """Rule 91."""
    if not subject.resource.parents:
        return
    above = subject.model.resources[subject.resource.parents[0]].patterns[0]
    parent = above.format(**dict.fromkeys(above.variables, "nothing-here"))
    method = subject.methods[K.CREATE]
    subject.fails(Code.NOT_FOUND, K.CREATE, parent=parent, **{method.resource_field or "": subject.example()})


@_needs(K.CREATE)
def a_repeated_request_acts_once(subject: Subject) -> None:
    """Rule 29: the same request_id is answered with the first reply."""
    method = subject.methods[K.CREATE]
    if "request_id" not in method.input.fields_by_name:
        return
    parent, message, request_id = subject.parent(), subject.example(), str(uuid.uuid4())
    values = {method.resource_field or "": message, "request_id": request_id}
    assert subject.call(K.CREATE, **values, **parent) == subject.call(K.CREATE, **values, **parent)


@_needs(K.CREATE, K.GET)
def validate_only_changes_nothing(subject: Subject) -> None:
    """Rule 30."""
    method = subject.methods[K.CREATE]
    if "validate_only" not in method.input.fields_by_name:
        return
    reply = subject.create(validate_only=True)
    subject.fails(Code.NOT_FOUND, K.GET, name=reply.name)


@_needs(K.CREATE, K.BATCH_GET)
def a_batch_is_in_order_and_all_or_nothing(subject: Subject) -> None:
    """Rules 53, 54 and 55."""
    parent = subject.parent()
    records = [subject.create(parent) for _ in range(3)]
    names = [records[2].name, records[0].name, records[2].name, records[1].name]
    field_name = subject.methods[K.BATCH_GET].resource_field or ""
    reply = subject.call(K.BATCH_GET, names=names)
    assert [record.name for record in getattr(reply, field_name)] == names
    missing = records[0].name.rpartition("/")[0] + "/nothing-here"
    subject.fails(Code.NOT_FOUND, K.BATCH_GET, names=[*names, missing])
    subject.fails(Code.INVALID_ARGUMENT, K.BATCH_GET, names=[])


@_needs(K.CREATE, K.LIST)
def pages_hold_every_record_once(subject: Subject) -> None:
    """Rules 58 to 64."""
    parent = subject.parent()
    names = {subject.create(parent).name for _ in range(5)}
    found: list[str] = []
    token = ""
    for _ in range(10_000):
        reply = subject.call(K.LIST, page_size=2, page_token=token, **parent)
        page = getattr(reply, subject.methods[K.LIST].resource_field or "")
        assert len(page) <= 2
        found += [record.name for record in page]
        token = reply.next_page_token
        if not token or names <= set(found):
            break
    assert names <= set(found)
    assert len(found) == len(set(found))
    subject.fails(Code.INVALID_ARGUMENT, K.LIST, page_token="not a token", **parent)  # noqa: S106 - a page token
    subject.fails(Code.INVALID_ARGUMENT, K.LIST, page_size=-1, **parent)
    for argument, text in {"filter": "no_such_field = 1", "order_by": "no_such_field"}.items():
        if argument in subject.methods[K.LIST].input.fields_by_name:
            subject.fails(Code.INVALID_ARGUMENT, K.LIST, **{argument: text}, **parent)


@_needs(K.CREATE, K.LIST)
def a_page_token_belongs_to_its_query(subject: Subject) -> None:
    """Rule 64: another argument makes the token invalid; another page size does not."""
    parent = subject.parent()
    for _ in range(3):
        subject.create(parent)
    token = subject.call(K.LIST, page_size=1, **parent).next_page_token
    assert subject.call(K.LIST, page_size=2, page_token=token, **parent)
    if "order_by" in subject.methods[K.LIST].input.fields_by_name:
        subject.fails(Code.INVALID_ARGUMENT, K.LIST, page_token=token, order_by="name desc", **parent)


@_needs(K.CREATE, K.UPDATE, K.GET)
def an_update_changes_what_its_mask_names(subject: Subject) -> None:
    """Rules 97 to 101, 45 and 33."""
    target = changeable(subject.resource)
    if target is None:
        return
    record = subject.create()
    change = subject.resource.message_class(name=record.name, **{target.name: other_value(target)})
    method = subject.methods[K.UPDATE]
    values: dict[str, Any] = {method.resource_field or "": change, "update_mask": {"paths": [target.name]}}
    updated = subject.call(K.UPDATE, **values)
    assert getattr(updated, target.name) == getattr(change, target.name)
    assert subject.call(K.GET, name=record.name) == updated
    subject.fails(Code.INVALID_ARGUMENT, K.UPDATE, **{**values, "update_mask": {"paths": ["no_such_field"]}})
    if Role.ETAG in subject.resource.by_role:
        assert updated.etag != record.etag
        change.etag = record.etag  # type: ignore[attr-defined]  # the class is made from the proto
        subject.fails(Code.ABORTED, K.UPDATE, **values)


@_needs(K.CREATE, K.UPDATE)
def an_update_of_nothing_is_not_found(subject: Subject) -> None:
    """Rule 101."""
    target = changeable(subject.resource)
    if target is None:
        return
    name = subject.create().name + "x"
    change = subject.resource.message_class(name=name, **{target.name: other_value(target)})
    field_name = subject.methods[K.UPDATE].resource_field or ""
    subject.fails(Code.NOT_FOUND, K.UPDATE, **{field_name: change}, update_mask={"paths": [target.name]})


@_needs(K.CREATE, K.DELETE, K.GET)
def what_is_deleted_is_gone_or_marked(subject: Subject) -> None:
    """Rules 106 to 112 and 49."""
    record = subject.create()
    subject.call(K.DELETE, name=record.name)
    if subject.resource.soft_delete:
        assert subject.call(K.GET, name=record.name).HasField("delete_time")
    else:
        subject.fails(Code.NOT_FOUND, K.GET, name=record.name)
    subject.fails(Code.NOT_FOUND, K.DELETE, name=record.name)
    if "allow_missing" in subject.methods[K.DELETE].input.fields_by_name:
        subject.call(K.DELETE, name=record.name, allow_missing=True)


@_needs(K.CREATE, K.DELETE, K.UNDELETE, K.GET)
def what_is_undeleted_is_back(subject: Subject) -> None:
    """Rule 113."""
    record = subject.create()
    subject.fails(Code.ALREADY_EXISTS, K.UNDELETE, name=record.name)
    subject.call(K.DELETE, name=record.name)
    assert not subject.call(K.UNDELETE, name=record.name).HasField("delete_time")
    assert not subject.call(K.GET, name=record.name).HasField("delete_time")


@_needs(K.CREATE, K.BATCH_CREATE, K.GET)
def a_batch_is_created_whole_or_not_at_all(subject: Subject) -> None:
    """Rules 93 to 96."""
    method = subject.methods[K.CREATE]
    parent, field_name = subject.parent(), method.resource_field or ""
    requests = [method.input_class(**{field_name: subject.example()}, **parent) for _ in range(3)]
    reply = subject.call(K.BATCH_CREATE, requests=requests)
    records = getattr(reply, subject.methods[K.BATCH_CREATE].resource_field or "")
    assert [subject.call(K.GET, name=record.name) for record in records] == list(records)
    subject.fails(Code.INVALID_ARGUMENT, K.BATCH_CREATE, requests=[])
