"""Schedules of code, checked against the protos and turned into what the database keeps."""

from __future__ import annotations

from google.protobuf.json_format import ParseDict, ParseError

from entresol.errors import InvalidArgumentError, Mistake
from entresol.schedules.timing import parse
from entresol.schema.model import Model
from entresol.schema.report import Report
from entresol.service.imports import RULE
from entresol.service.registry import Registry, Schedule
from entresol.storage.schedules import Declared

OVERLAPS = ("skip", "queue", "allow", "cancel")
MISSED = ("latest", "skip", "all")
MISSED_MAX = 10_000


def declared(model: Model, registry: Registry) -> list[Declared]:
    """Return the schedules as the database keeps them; `check_schedules` has found nothing wrong with them."""
    return [_declared(model, one) for one in registry.schedules.values()]


def check_schedules(model: Model, registry: Registry, report: Report) -> None:
    """Report schedules of what is no job, with a request that does not fit, or that cannot be kept."""
    for one in registry.schedules.values():
        for problem, remedy in _problems(model, registry, one):
            report.note(Mistake(*one.place, RULE, one.name, problem, remedy))


def _problems(model: Model, registry: Registry, one: Schedule) -> list[tuple[str, str]]:
    if one.method not in registry.jobs:
        return [(f"puts in {one.method}, which is no job", "give it a function with @entresol.job")]
    found = []
    try:
        parse(one.timing, one.zone)
    except InvalidArgumentError as error:
        found.append((error.message, "give five fields of cron, `every 90s`, or `at` and a time"))
    try:
        _declared(model, one)
    except (ParseError, ValueError) as error:
        found.append((f"has a request that does not fit: {error}", "give its fields as JSON has them"))
    for name, choices in (("overlap", OVERLAPS), ("missed", MISSED)):
        if getattr(one, name) not in choices:
            found.append((f"{name} is {getattr(one, name)!r}", f"choose of {', '.join(choices)}"))
    if not 0 < one.missed_max <= MISSED_MAX:
        found.append((f"missed_max is {one.missed_max}", f"give 1 to {MISSED_MAX}"))
    if one.jitter_s < 0:
        found.append((f"jitter_s is {one.jitter_s:g}", "give 0 or more"))
    return found


def _declared(model: Model, one: Schedule) -> Declared:
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
    )
