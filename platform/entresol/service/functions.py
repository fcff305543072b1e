"""The custom methods of the protos and their functions: each fits the other, or is a mistake with its place."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from entresol.errors import Mistake
from entresol.schema.model import Method, MethodKind, Model
from entresol.schema.report import Report
from entresol.schema.services import has_standard_name
from entresol.service.batch_checks import check_batches
from entresol.service.imports import RULE
from entresol.service.operations import METADATA
from entresol.service.ops import provided_methods
from entresol.service.places import place
from entresol.service.registry import Registry
from entresol.service.schedules import check_schedules

_REPLACES = ("is a custom method: its function replaces nothing", "leave out replaces=True")
_STANDS_IN = (
    "is a standard method, and a function would take its masks, etags, validate_only and request_id away",
    "remove the function, or register it with replaces=True and see to them",
)
_LIKENESS_MIN = 0.95  # full names of one service are alike for most of their length


def check_functions(model: Model, registry: Registry, report: Report, *, complete: bool = True) -> None:
    """Report methods without a function, functions without a method, and what cannot be called as it will be.

    Unless `complete`, some functions could not be imported, so that one which is not there is no mistake of its own.
    """
    declared = {method.full_name: method for method in model.methods.values()}
    provided = provided_methods(model)
    custom = [
        name for name, method in declared.items() if method.kind is MethodKind.CUSTOM and name not in provided
    ]
    flawed = bool(report.mistakes)
    for name in custom:
        # A standard method of a resource that cannot be read looks like a custom one: no mistake of its own.
        if (
            complete
            and name not in registry.functions
            and name not in registry.jobs
            and not (flawed and has_standard_name(name.rpartition(".")[2]))
        ):
            method = model.pool.FindMethodByName(name)
            decorator = "method" if declared[name].job is None else "job"
            remedy = f"register one with @entresol.{decorator}({name!r})"
            report.add(method, RULE, "is declared and has no function", remedy)
    for name, function in registry.functions.items():
        if name not in declared:
            near = difflib.get_close_matches(name, custom, 1, _LIKENESS_MIN)
            remedy = f"did you mean {near[0]!r}?" if near else "declare the method, or remove the function"
            problem = "has a function and is declared in no proto"
            report.note(Mistake(*place(function), RULE, name, problem, remedy))
        elif name in registry.jobs:
            problem = "has a function that answers it, and a job"
            report.note(Mistake(*place(function), RULE, name, problem, "keep one"))
        elif (name in custom) is (name in registry.replacing):
            problem, remedy = _REPLACES if name in custom else _STANDS_IN
            report.note(Mistake(*place(function), RULE, name, problem, remedy))
        _check_parameters(name, function, ("request", "context"), report)
    for name, job in registry.jobs.items():
        _check_job(name, job, declared.get(name), report)
    for name, purge in declared.items():
        if purge.kind is MethodKind.PURGE and purge.job is not None and purge.job.metadata != METADATA:
            problem = f"names {purge.job.metadata} for the metadata of its operation"
            remedy = f"name {METADATA!r}, and import its file"
            report.add(model.pool.FindMethodByName(name), RULE, problem, remedy)
    check_schedules(model, registry, report)
    check_batches(model, registry, report)
    for policy in (registry.policy, registry.operator_policy):
        if policy is not None:
            _check_parameters(
                getattr(policy, "__qualname__", "a policy"), policy, ("request", "call"), report
            )


def _check_job(name: str, function: Callable[..., Any], method: Method | None, report: Report) -> None:
    policy = None if method is None else method.job
    if policy is None:
        problem = "has a job and answers with no google.longrunning.Operation"
        remedy = "declare a method of this name that does, with operation_info, or remove the function"
        report.note(Mistake(*place(function), RULE, name, problem, remedy))
    elif policy.metadata != METADATA:
        problem = f"has a job and names {policy.metadata} for the metadata of its operation"
        remedy = f"name {METADATA!r}, and import its file"
        report.note(Mistake(*place(function), RULE, name, problem, remedy))
    elif method is not None and method.kind is not MethodKind.CUSTOM:
        problem = "has a job, and is a standard method, whose work the platform does"
        remedy = "remove the function, or give the method a name that is no standard method's"
        report.note(Mistake(*place(function), RULE, name, problem, remedy))
    _check_parameters(name, function, ("request", "job"), report)


def _check_parameters(
    name: str, function: Callable[..., Any], given: tuple[str, str], report: Report
) -> None:
    try:
        # Not what it wraps: the outermost is what will be called.
        signature = inspect.signature(function, follow_wrapped=False)
    except ValueError:  # of a callable that was not written in Python
        return
    try:
        signature.bind(*given)
    except TypeError:
        call = f"({', '.join(given)})"
        takes = f"({', '.join(signature.parameters)})"
        problem, remedy = f"takes {takes}, and is called with {call}", f"give it the parameters {call}"
        report.note(Mistake(*place(function), RULE, name, problem, remedy))
