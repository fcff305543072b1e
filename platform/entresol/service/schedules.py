"""Schedules of code, checked against the protos and turned into what the database keeps."""

from __future__ import annotations

import re

from google.protobuf.json_format import ParseDict, ParseError

from entresol.errors import InvalidArgumentError, Mistake
from entresol.schedules.timing import parse
from entresol.schema.model import JobPolicy, MethodKind, Model
from entresol.schema.report import Report
from entresol.service.imports import RULE
from entresol.service.registry import Registry, Schedule
from entresol.storage.schedules import Declared

OVERLAPS = ("skip", "queue", "allow", "cancel")
MISSED = ("latest", "skip", "all")
MISSED_MAX = 10_000
_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


def declared(model: Model, registry: Registry) -> list[Declared]:
    """Return the schedules as the database keeps them; `check_schedules` has found nothing wrong with them."""
    return [read_schedule(model, one) for one in registry.schedules.values()]


def check_schedules(model: Model, registry: Registry, report: Report) -> None:
    """Report schedules of what is no job, with a request that does not fit, or that cannot be kept."""
    for one in registry.schedules.values():
        for problem, remedy in _problems(model, registry, one):
            report.note(Mistake(*one.place, RULE, one.name, problem, remedy))


def _problems(model: Model, registry: Registry, one: Schedule) -> list[tuple[str, str]]:
    service, _, name = one.method.rpartition(".")
    method = model.methods.get(f"/{service}/{name}")
    if one.method not in registry.jobs and (method is None or method.kind is not MethodKind.PURGE):
        return [(f"puts in {one.method}, which is no job", "give it a function with @entresol.job")]
    return problems(model, one)


def policies(model: Model) -> dict[str, JobPolicy]:
    """Return how the jobs of the protos are run, by method."""
    return {method.full_name: method.job for method in model.methods.values() if method.job}


def problems(model: Model, one: Schedule) -> list[tuple[str, str]]:
    """Return what is wrong with a schedule of a method that has a job, each with what to do instead."""
    found = []
    if not _NAME.fullmatch(one.name):
        found.append(("has a name that cannot stand in one of a resource", "use letters, digits and -._"))
    try:
        parse(one.timing, one.zone)
    except InvalidArgumentError as error:
        found.append((error.message, "give five fields of cron, `every 90s`, or `at` and a time"))
    try:
        read_schedule(model, one)
    except (ParseError, ValueError) as error:
        found.append((f"has a request that does not fit: {error}", "give its fields as JSON has them"))
    for name, choices in (("overlap", OVERLAPS), ("missed", MISSED)):
        if getattr(one, name) not in choices:
            found.append((f"{name} is {getattr(one, name)!r}", f"choose of {', '.join(choices)}"))
    if not 0 < one.missed_max <= MISSED_MAX:
        found.append((f"missed_max is {one.missed_max}", f"give 1 to {MISSED_MAX}"))
    if one.jitter_s < 0:
        found.append((f"jitter_s is {one.jitter_s:g}", "give 0 or more"))
    for name, time in (("start", one.start), ("end", one.end)):
        if time is not None and time.tzinfo is None:
            found.append((f"{name} has no zone", "give it one: tzinfo=UTC"))
    return found


def read_schedule(model: Model, one: Schedule) -> Declared:
    """Return a schedule as the database keeps it; ParseError or ValueError when its request does not fit."""
    service, _, name = one.method.rpartition(".")
    request = model.methods[f"/{service}/{name}"].input_class()
    ParseDict(dict(one.request), request, descriptor_pool=model.pool)
    data = request.SerializeToString(deterministic=True)
    return Declared(
        one.name,
        one.method,
        data,
        one.timing,
        one.zone,
        one.overlap,
        one.missed,
        one.missed_max,
        one.jitter_s,
        one.start,
        one.end,
    )
