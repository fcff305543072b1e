"""Batches of code, checked against the protos: what cannot run, or must not be replaced whole, is told at start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from entresol.batches.definition import Batch
from entresol.batches.engines import AUTO, able
from entresol.errors import Mistake
from entresol.schema.model import Kind, Model, Resource, Role
from entresol.schema.report import Report
from entresol.service.batches import RESPONSE
from entresol.service.imports import RULE
from entresol.storage.row_values import in_json

if TYPE_CHECKING:
    from entresol.service.registry import Registry

_Problem = tuple[str, str]


def check_batches(model: Model, registry: Registry, report: Report) -> None:
    """Report batches whose parts do not fit each other, or the protos."""
    for one in registry.batches.values():
        for problem, remedy in _problems(model, one):
            report.note(Mistake(*one.place, RULE, one.name, problem, remedy))


def _problems(model: Model, batch: Batch) -> Iterator[_Problem]:
    service, _, name = batch.method.rpartition(".")
    method = model.methods.get(f"/{service}/{name}")
    if method is not None and method.job is not None and method.job.response != RESPONSE:
        yield f"is run by {batch.method}, which responds with {method.job.response}", f"declare {RESPONSE!r}"
    if isinstance(batch.map, str) is not isinstance(batch.reduce, str):
        yield "has a text and a function", "let map and reduce both be SQL, or both functions"
    elif batch.engine not in (AUTO, *able(batch.is_text)):
        yield f"cannot run on {batch.engine!r}", f"choose of {', '.join((AUTO, *able(batch.is_text)))}"
    try:
        ZoneInfo(batch.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"has the zone {batch.zone!r}, which there is not", "name one such as Europe/London"
    if batch.days < 1 or (batch.days > 1 and not batch.window):
        yield f"reads {batch.days} days", "give 1 or more, and a window"
    yield from _of_source(model, batch)
    yield from _of_result(model, batch)


def _of_source(model: Model, batch: Batch) -> Iterator[_Problem]:
    if batch.source not in model.by_message:
        if batch.source.count(".") != 1:
            yield (
                f"reads {batch.source}, which is no resource",
                "name its message, or a table with its schema",
            )
        return
    source = model.by_message[batch.source]
    fields = {field.name: field for field in source.stored}
    for name in batch.columns:
        if name not in fields:
            yield f"reads {name}, which a {source.singular} does not store", "name its fields"
    if batch.window and (batch.window not in fields or fields[batch.window].kind is not Kind.TIMESTAMP):
        yield f"has the window {batch.window}", f"name a field of {batch.source} that holds a time"


def _of_result(model: Model, batch: Batch) -> Iterator[_Problem]:
    if batch.result not in model.by_message:
        yield f"makes {batch.result}, which is no resource", "name its message"
        return
    result = model.by_message[batch.result]
    if result.is_fenced:
        yield f"makes {result.plural}, which are STRONG and cached", "let their consistency be another"
    if result.soft_delete:
        yield f"makes {result.plural}, whose deletion is soft", "let it remove them"
    if Role.UID in result.by_role:
        yield f"makes {result.plural}, which have a uid", "leave the field out"
    for field in result.stored:
        if in_json(field):
            yield (
                f"makes {result.plural}, whose {field.name} is a message",
                "keep what it makes in plain fields",
            )
    if batch.scope and not _is_parent(result, batch.scope.replace("{key}", "key")):
        yield (
            f"replaces {batch.scope}, no parent of a {result.singular}",
            "give a parent's name, or nothing for all",
        )


def _is_parent(resource: Resource, name: str) -> bool:
    """Tell whether `name` may stand before a record's own segments."""
    return any(
        pattern.parse(
            f"{name}/{pattern.segments[-1]}" if pattern.singleton else f"{name}/{pattern.segments[-2]}/x"
        )
        for pattern in resource.patterns
        if pattern.parent_segments
    )
