"""Changes of services and methods that break callers."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import MethodDescriptor

from entresol.schema import options
from entresol.schema.breaking.comparison import RULE, Comparison
from entresol.schema.options import bindings
from entresol.schema.paths import blanked


def compare_services(comparison: Comparison) -> None:
    """Report what became of methods."""
    for old, new in comparison.kept(comparison.old.services(), comparison.new.services()):
        for name, method in old.methods_by_name.items():
            if name not in new.methods_by_name:
                comparison.lost(method)
            else:
                _method(comparison, method, new.methods_by_name[name])


def _method(comparison: Comparison, old: MethodDescriptor, new: MethodDescriptor) -> None:
    before = dict(_looks(old))
    for look, value in _looks(new):
        if value != before[look]:
            problem = f"{look} was {before[look]} and is {value}"
            comparison.report.add(new, RULE, problem, "undo the change, or add a method beside the old one")
    _bindings(comparison, old, new)
    _operation(comparison, old, new)
    _pagination(comparison, old, new)


def _looks(method: MethodDescriptor) -> Iterator[tuple[str, str]]:
    yield "its request", method.input_type.full_name
    yield "its response", method.output_type.full_name
    yield "its request stream", str(method.client_streaming)
    yield "its response stream", str(method.server_streaming)


def _bindings(comparison: Comparison, old: MethodDescriptor, new: MethodDescriptor) -> None:
    kept = {(one.verb, blanked(one.path), one.body) for one in bindings(comparison.new, new)}
    for one in bindings(comparison.old, old):
        if (one.verb, blanked(one.path), one.body) not in kept:
            problem = f"is no longer called by {one.verb} {one.path} with the body {one.body!r}"
            remedy = "keep it among the additional_bindings"
            comparison.report.add(new, RULE, problem, remedy, option=options.HTTP)


def _operation(comparison: Comparison, old: MethodDescriptor, new: MethodDescriptor) -> None:
    before, after = (
        comparison.old.option(old, options.OPERATION),
        comparison.new.option(new, options.OPERATION),
    )
    if before is None:
        return
    for name in ("response_type", "metadata_type"):
        value = getattr(after, name) if after is not None else ""
        if value != getattr(before, name):
            problem = f"its operation's {name} was {getattr(before, name)!r} and is {value!r}"
            comparison.report.add(new, RULE, problem, "undo the change", option=options.OPERATION)


def _pagination(comparison: Comparison, old: MethodDescriptor, new: MethodDescriptor) -> None:
    paged = "next_page_token"
    if paged in new.output_type.fields_by_name and paged not in old.output_type.fields_by_name:
        problem = "answers in pages, which its callers do not ask for"
        comparison.report.add(new, RULE, problem, "add a method beside it (AIP-158)")
