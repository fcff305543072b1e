"""Changes of resources that break callers: types, patterns and page sizes."""

from __future__ import annotations

from entresol.schema import options
from entresol.schema.breaking.comparison import RULE, Comparison, is_stable
from entresol.schema.model import Resource


def compare_resources(comparison: Comparison) -> None:
    """Report what became of the annotations of resources whose messages are still there."""
    for message, old in comparison.old_model.by_message.items():
        new = comparison.new_model.by_message.get(message)
        if old.descriptor is None or not is_stable(old.descriptor):
            continue
        if new is not None:
            _resource(comparison, old, new)
        elif message in {one.full_name for one in comparison.new.messages()}:
            comparison.lost(old.descriptor, "is no longer a resource")


def _resource(comparison: Comparison, old: Resource, new: Resource) -> None:
    if new.type != old.type:
        _add(comparison, new, "AIP-123", f"its type was {old.type!r} and is {new.type!r}", "undo the change")
    before = [pattern.text for pattern in old.patterns]
    after = [pattern.text for pattern in new.patterns]
    if after[: len(before)] != before:
        problem = f"its patterns were {before} and are {after}"
        _add(comparison, new, "AIP-123", problem, "keep the old ones in their order, and append new ones")
    if new.page_size_default != old.page_size_default:
        problem = f"its default page size was {old.page_size_default} and is {new.page_size_default}"
        _add(comparison, new, RULE, problem, "undo the change", option=options.STORAGE)


def _add(
    comparison: Comparison,
    resource: Resource,
    rule: str,
    problem: str,
    remedy: str,
    option: str = options.RESOURCE,
) -> None:
    message = comparison.new.pool.FindMessageTypeByName(resource.message)
    comparison.report.add(message, rule, problem, remedy, option=option)
