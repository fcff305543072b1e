"""Rule 17: how methods are called over HTTP (AIP-127), and what the verb, path and body of each kind must be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from entresol.schema import options
from entresol.schema.model import Behavior, Method, MethodKind, Resource
from entresol.schema.options import bindings
from entresol.schema.paths import Binding, Variable, blanked, is_path, variables, verb_of
from entresol.schema.resources import blank
from entresol.schema.rules.scope import Scope, owner_of
from entresol.schema.rules.standard_paths import name_variable, split_version, standard_paths
from entresol.schema.services import has_standard_name

_RULE = "AIP-127"
_VERBS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_HTTP_BODY = "google.api.HttpBody"


@dataclass(frozen=True, slots=True)
class _Form:
    """What a kind of method must look like over HTTP. `body` "=" stands for the resource's field."""

    rule: str
    verb: str
    body: str = ""
    custom_verb: str = ""


_FORMS = {
    MethodKind.GET: _Form("AIP-131", "GET"),
    MethodKind.LIST: _Form("AIP-132", "GET"),
    MethodKind.CREATE: _Form("AIP-133", "POST", "="),
    MethodKind.UPDATE: _Form("AIP-134", "PATCH", "="),
    MethodKind.DELETE: _Form("AIP-135", "DELETE"),
    MethodKind.UNDELETE: _Form("AIP-164", "POST", "*", "undelete"),
    MethodKind.BATCH_GET: _Form("AIP-231", "GET", "", "batchGet"),
    MethodKind.BATCH_CREATE: _Form("AIP-233", "POST", "*", "batchCreate"),
}


def check_bindings(scope: Scope) -> None:
    """Report HTTP rules that are missing, malformed, or in each other's way."""
    taken: dict[tuple[str, str], str] = {}
    for method in scope.methods:
        check = _Check(scope, method)
        found = bindings(scope.source, check.descriptor)
        check.all(found)
        for binding in found:
            first = taken.setdefault((binding.verb, blanked(binding.path)), method.full_name)
            if first != method.full_name:
                check.add(_RULE, f"{binding.verb} {binding.path} also calls {first}", "give it another path")


class _Check:
    """The checks of one method."""

    def __init__(self, scope: Scope, method: Method) -> None:
        self._scope = scope
        self._method = method
        self.descriptor: MethodDescriptor = scope.descriptor(method)

    def add(self, rule: str, problem: str, remedy: str) -> None:
        self._scope.report.add(self.descriptor, rule, problem, remedy, option=options.HTTP)

    def all(self, found: tuple[Binding, ...]) -> None:
        bidirectional = self._method.client_streaming and self._method.server_streaming
        if not found and not bidirectional:
            self.add(_RULE, "has no (google.api.http)", "say how it is called over HTTP")
        for binding in found:
            self._binding(binding)
        self._together(found)

    def _together(self, found: tuple[Binding, ...]) -> None:
        if len({binding.body for binding in found}) > 1:
            self.add(_RULE, "its bindings have different bodies", "give every binding the same body")
        if any(binding.nested for binding in found):
            self.add(_RULE, "an additional binding has additional bindings", "list them side by side")

    def _binding(self, binding: Binding) -> None:
        if binding.verb not in _VERBS:
            self.add(_RULE, f"verb {binding.verb!r} is not an HTTP verb", "use get, post, patch or delete")
            return
        if not is_path(binding.path):
            self.add(_RULE, f"path {binding.path!r} is malformed", "write for example '/v1/{name=stories/*}'")
            return
        self._body(binding)
        self._variables(variables(binding.path))
        self._form(binding)

    def _body(self, binding: Binding) -> None:
        body = binding.body
        if binding.verb in ("GET", "DELETE"):
            if body:
                self.add(_RULE, f"{binding.verb} has the body {body!r}", "remove the body")
        elif body and body != "*":
            self._body_field(body, {variable.field for variable in variables(binding.path)})

    def _body_field(self, body: str, in_path: set[str]) -> None:
        field = self._method.input.fields_by_name.get(body)
        if "." in body:
            self.add(_RULE, f"body {body!r} is a field of a field", "name a field of the request itself")
        elif field is None:
            self.add(_RULE, f"body {body!r} is no field of {self._method.input.name}", "name one, or '*'")
        elif field.is_repeated:
            self.add(_RULE, f"body {body!r} is repeated", "use '*'")
        elif body in in_path:
            self.add(_RULE, f"body {body!r} is also in the path", "use '*'")

    def _variables(self, found: tuple[Variable, ...]) -> None:
        names = [variable.field for variable in found]
        for name in {name for name in names if names.count(name) > 1}:
            self.add(_RULE, f"path variable {name!r} stands twice", "use each field once")
        for variable in found:
            self._variable(variable)

    def _variable(self, variable: Variable) -> None:
        field = _field_at(self._method.input, variable.field)
        if field is None:
            problem = f"path variable {variable.field!r} is no field of {self._method.input.name}"
            self.add(_RULE, problem, "name a field of the request")
        elif field.message_type is not None or field.is_repeated:
            self.add(_RULE, f"path variable {variable.field!r} is not one plain value", "use a string field")
        else:
            self._template(variable, self._expected(field))

    def _template(self, variable: Variable, expected: frozenset[str]) -> None:
        if expected and variable.template not in expected:
            wanted = " or ".join(f"{{{variable.field}={template}}}" for template in sorted(expected))
            problem = f"path variable {variable.field!r} has the template {variable.template!r}"
            self.add(_RULE, problem, f"take the whole name: {wanted}")

    def _expected(self, field: FieldDescriptor) -> frozenset[str]:
        """Return the templates of the names that the field may hold; none when any text may stand there."""
        owner = self._scope.by_message.get(owner_of(field))
        if owner is not None and Behavior.IDENTIFIER in self._scope.behaviors(field):
            return _templates([owner])
        annotation = self._scope.source.option(field, options.REFERENCE)
        if annotation is None:
            return frozenset()
        by_type = self._scope.by_type
        if annotation.type in by_type:
            return _templates([by_type[annotation.type]])
        return (
            _parent_templates(by_type[annotation.child_type])
            if annotation.child_type in by_type
            else frozenset()
        )

    def _form(self, binding: Binding) -> None:
        form = _FORMS.get(self._method.kind)
        if form is None:
            self._custom(binding)
            return
        body = (self._method.resource_field or "") if form.body == "=" else form.body
        if binding.verb != form.verb:
            self.add(form.rule, f"is called by {binding.verb}", f"use {form.verb.lower()}")
        elif binding.body != body:
            self.add(form.rule, f"has the body {binding.body!r}", f"use {body!r}")
        if verb_of(binding.path) != form.custom_verb:
            wanted = (
                f"end it with ':{form.custom_verb}'" if form.custom_verb else "drop what follows the colon"
            )
            self.add(form.rule, f"path {binding.path!r} has the verb {verb_of(binding.path)!r}", wanted)
        self._named(binding, form.rule)

    def _named(self, binding: Binding, rule: str) -> None:
        """Check that a standard method takes the name it acts on from the path."""
        assert self._method.resource is not None
        wanted = name_variable(self._method, self._method.resource)
        found = variables(binding.path)
        if wanted and [variable.field for variable in found] != [wanted]:
            held = ", ".join(variable.field for variable in found) or "no variable"
            self.add(rule, f"path {binding.path!r} holds {held}", f"let it hold {{{wanted}=...}} alone")
        elif all(self._is_whole(variable) for variable in found):
            self._path(binding.path, standard_paths(self._method, self._method.resource), rule)

    def _is_whole(self, variable: Variable) -> bool:
        """Tell whether the variable is as it must be; what is wrong in it is a mistake of its own."""
        field = _field_at(self._method.input, variable.field)
        expected = self._expected(field) if field is not None else frozenset()
        return field is not None and (not expected or variable.template in expected)

    def _path(self, path: str, wanted: tuple[str, ...], rule: str) -> None:
        """Check that the path is the resource's; a binding that is additional has no other (a gateway may)."""
        verb = verb_of(path)
        version, rest = split_version(path.removesuffix(f":{verb}"))
        if wanted and (not version or rest not in wanted):
            ending = f":{verb}" if verb else ""
            remedy = " or ".join(f"{version or '/v1'}/{one}{ending}" for one in wanted)
            self.add(rule, f"path {path!r} is not what the resource's pattern gives", f"write {remedy}")

    def _custom(self, binding: Binding) -> None:
        # A long-running Create is called like any Create (AIP-151).
        if has_standard_name(self.descriptor.name):
            return
        if binding.verb not in ("GET", "POST"):
            self.add("AIP-136", f"is called by {binding.verb}", "use post, or get when it changes nothing")
        elif binding.verb == "POST" and binding.body != "*" and not self._is_raw(binding.body):
            self.add("AIP-136", f"has the body {binding.body!r}", "use '*'")

    def _is_raw(self, body: str) -> bool:
        field = self._method.input.fields_by_name.get(body)
        return (
            field is not None
            and field.message_type is not None
            and field.message_type.full_name == _HTTP_BODY
        )


def _field_at(message: Descriptor, path: str) -> FieldDescriptor | None:
    first, _, rest = path.partition(".")
    field = message.fields_by_name.get(first)
    if field is None or not rest:
        return field
    return _field_at(field.message_type, rest) if field.message_type is not None else None


def _templates(resources: Iterable[Resource]) -> frozenset[str]:
    return frozenset(blank(pattern.text) for resource in resources for pattern in resource.patterns)


def _parent_templates(child: Resource) -> frozenset[str]:
    return frozenset(blank("/".join(one.parent_segments)) for one in child.patterns if one.parent_segments)
