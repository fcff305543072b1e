"""Rule 18, and 47 to 113 as far as a proto shows them: requests and responses of methods, standard and custom."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.schema import options
from entresol.schema.model import Behavior, Consistency, Method, MethodKind, Resource
from entresol.schema.rules.scope import Scope
from entresol.schema.rules.standard_methods import FORMS, PURGED, Form, Part
from entresol.schema.services import OPERATION
from entresol.schema.source import is_own
from entresol.schema.spelling import type_name


def check_methods(scope: Scope) -> None:
    """Report methods that are named like a standard one and shaped otherwise, and badly named requests."""
    for method in scope.methods:
        _request_name(scope, method)
        _operation(scope, method)
        _consistency(scope, method)
        if method.resource is not None:
            _Check(scope, method, method.resource, FORMS[method.kind]).all()


def _request_name(scope: Scope, method: Method) -> None:
    descriptor = scope.descriptor(method)
    rule = FORMS[method.kind].rule if method.kind in FORMS else "AIP-136"
    wanted = f"{descriptor.name}Request"
    if method.input.name != wanted:
        problem = f"takes a {method.input.full_name}"
        scope.report.add(descriptor, rule, problem, f"let it take a message named {wanted}")


def _operation(scope: Scope, method: Method) -> None:
    """Check that a long-running method names what it answers with in the end (AIP-151)."""
    if method.output.full_name != OPERATION:
        return
    descriptor = scope.descriptor(method)
    info = scope.source.option(descriptor, options.OPERATION)
    if info is None or not info.response_type or not info.metadata_type:
        remedy = "add (google.longrunning.operation_info) with response_type and metadata_type"
        scope.report.add(descriptor, "AIP-151", "does not name the types of its operation", remedy)
        return
    for name in (info.response_type, info.metadata_type):
        if not _exists(scope, name, descriptor.containing_service.file.package):
            remedy = "write the whole name, and import its file"
            scope.report.add(
                descriptor, "AIP-151", f"there is no message {name!r}", remedy, option=options.OPERATION
            )


def _consistency(scope: Scope, method: Method) -> None:
    descriptor = scope.descriptor(method)
    option = scope.source.option(descriptor, options.METHOD)
    if option is not None and not options.is_choice(Consistency, option.consistency):
        remedy = "use a name of entresol/options/v1/options.proto"
        problem = f"consistency {option.consistency} is unknown"
        scope.report.add(descriptor, "entresol/options", problem, remedy, option=options.METHOD)


def _exists(scope: Scope, name: str, package: str) -> bool:
    for full_name in (name, f"{package}.{name}"):
        try:
            scope.source.pool.FindMessageTypeByName(full_name)
        except KeyError:
            continue
        return True
    return False


class _Check:
    """The checks of one standard method."""

    def __init__(self, scope: Scope, method: Method, resource: Resource, form: Form) -> None:
        self._scope = scope
        self._method = method
        self._resource = resource
        self._form = form
        self._descriptor = scope.descriptor(method)

    def all(self) -> None:
        if self._method.client_streaming or self._method.server_streaming:
            self._add("streams", "let it be unary, or give it another name")
        if self._method.kind is MethodKind.UNDELETE and not self._resource.soft_delete:
            self._add("undeletes what Delete removes for good", "set soft_delete on the resource")
        if is_own(self._method.input.file.name):  # that it is not is a mistake of its own
            self._request(self._form.parts(self._resource))
        self._response()
        if self._method.kind is MethodKind.PURGE:
            self._purged()

    def _request(self, parts: list[Part]) -> None:
        for part in parts:
            self._part(self._method.input, part)
        known = {part.name for part in parts}
        for field in self._method.input.fields:
            if field.name not in known and Behavior.REQUIRED in self._scope.behaviors(field):
                remedy = "make it OPTIONAL, or write a custom method"
                self._add_at(field, "is REQUIRED, and a standard method needs nothing beside", remedy)

    def _add(self, problem: str, remedy: str) -> None:
        self._scope.report.add(self._descriptor, self._form.rule, problem, remedy)

    def _add_at(self, field: FieldDescriptor, problem: str, remedy: str, *, option: str = "") -> None:
        self._scope.report.add(field, self._form.rule, problem, remedy, option=option)

    def _part(self, message: Descriptor, part: Part) -> None:
        field = message.fields_by_name.get(part.name)
        if field is None:
            if part.must:
                remedy = f"add: {part.type} {part.name}"
                self._scope.report.add(message, self._form.rule, f"has no field {part.name!r}", remedy)
        elif type_name(field) != part.type:
            self._add_at(field, f"is {type_name(field)}", f"make it {part.type}")
        else:
            self._behavior(field, part)
            self._reference(field, part)

    def _behavior(self, field: FieldDescriptor, part: Part) -> None:
        behaviors = self._scope.behaviors(field)
        required = Behavior.REQUIRED in behaviors
        if Behavior.OUTPUT_ONLY in behaviors and field.containing_type is self._method.input:
            problem = "is OUTPUT_ONLY, so what callers send is not read"
            self._add_at(field, problem, "make it OPTIONAL or REQUIRED", option=options.BEHAVIOR)
        if part.required and not required:
            self._add_at(field, "is not REQUIRED", "make it REQUIRED", option=options.BEHAVIOR)
        elif part.required is False and required:
            self._add_at(field, "is REQUIRED", "make it OPTIONAL", option=options.BEHAVIOR)

    def _reference(self, field: FieldDescriptor, part: Part) -> None:
        if not part.refers:
            return
        annotation = self._scope.source.option(field, options.REFERENCE)
        given = (annotation.type, annotation.child_type) if annotation is not None else ("", "")
        if part.refers == "type" and given[0] != self._resource.type:
            remedy = f"add (google.api.resource_reference).type = {self._resource.type!r}"
            self._add_at(field, "does not say what it names", remedy, option=options.REFERENCE)
        elif part.refers == "parent" and not self._is_parent(*given):
            remedy = f"add (google.api.resource_reference).child_type = {self._resource.type!r}"
            self._add_at(field, "does not say what it names", remedy, option=options.REFERENCE)

    def _is_parent(self, kind: str, child_type: str) -> bool:
        return child_type == self._resource.type or kind in self._resource.parents

    def _response(self) -> None:
        output, wanted = self._method.output, self._form.response(self._resource)
        if wanted:
            if output.full_name not in wanted:
                choice = " or ".join(wanted)
                self._add(f"answers with {output.full_name}", f"answer with {choice}, or rename the method")
            return
        if output.name != f"{self._descriptor.name}Response":
            remedy = f"answer with a message named {self._descriptor.name}Response"
            self._add(f"answers with {output.full_name}", remedy)
            return
        for part in self._form.response_parts(self._resource):
            if part.name:
                self._part(output, part)
            else:
                self._repeated(output, part)

    def _purged(self) -> None:
        """Check what the operation answers with; one that cannot be found is a mistake of its own."""
        wanted = f"{self._descriptor.name}Response"
        response = "" if self._method.job is None else self._method.job.response
        if response and response.rpartition(".")[2] != wanted:
            self._add(
                f"its operation answers with {response}", f"let it answer with a message named {wanted}"
            )
        elif response and _exists(self._scope, response, ""):
            for part in PURGED:
                self._part(self._scope.source.pool.FindMessageTypeByName(response), part)

    def _repeated(self, output: Descriptor, part: Part) -> None:
        found = [field for field in output.fields if type_name(field) == part.type]
        if len(found) != 1:
            problem = f"has {len(found)} fields of the type {part.type}"
            self._scope.report.add(output, self._form.rule, problem, "let it have one")
