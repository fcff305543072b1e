"""The custom methods of the protos and their functions: each has the other, or is a mistake with its place."""

from __future__ import annotations

import difflib
import inspect
import os

from entresol.errors import Mistake
from entresol.schema.model import MethodKind, Model
from entresol.schema.report import Report
from entresol.schema.services import has_standard_name
from entresol.service.registry import Function, Registry

RULE = "entresol/function"
_LIKENESS_MIN = 0.95  # full names of one service are alike for most of their length


def check_functions(model: Model, registry: Registry, report: Report) -> None:
    """Report declared methods that nothing answers, and functions that answer no declared method."""
    declared = {method.full_name: method for method in model.methods.values()}
    custom = [name for name, method in declared.items() if method.kind is MethodKind.CUSTOM]
    flawed = bool(report.mistakes)
    for name in custom:
        # A standard method of a resource that cannot be read looks like a custom one: no mistake of its own.
        if name not in registry.functions and not (flawed and has_standard_name(name.rpartition(".")[2])):
            remedy = f"register one with @entresol.method({name!r})"
            method = model.pool.FindMethodByName(name)
            report.add(method, RULE, "is declared and has no function", remedy)
    for name, function in registry.functions.items():
        if name not in declared:
            near = difflib.get_close_matches(name, custom, 1, _LIKENESS_MIN)
            remedy = f"did you mean {near[0]!r}?" if near else "declare the method, or remove the function"
            file, line = _place(function)
            report.note(Mistake(file, line, RULE, name, "has a function and is declared in no proto", remedy))


def _place(function: Function) -> tuple[str, int]:
    """Return the file and line of a function; of another callable, its module."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return type(function).__module__, 1
    return os.path.relpath(code.co_filename), code.co_firstlineno
