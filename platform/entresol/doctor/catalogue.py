"""Every check there is: to add one is to write a function and to name it here.

A check is a pure function of the facts, and yields what it finds. It is called by the name of its module and its own:
`cache.eviction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from entresol.doctor import cache, database, fleet, indexes, process, queue, replicas, settings, slots
from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, Severity
from entresol.errors import InvalidArgumentError

Check: TypeAlias = Callable[[Facts], Iterable[Finding]]

CHECKS: Sequence[Check] = (
    fleet.silence,
    fleet.clocks,
    fleet.connections,
    cache.mode,
    cache.version,
    cache.memory,
    cache.eviction,
    cache.persistence,
    cache.replication,
    cache.latency,
    database.primary,
    database.version,
    database.parameters,
    database.durability,
    database.sessions,
    database.transactions,
    database.wraparound,
    database.statistics,
    database.migrations,
    slots.room,
    slots.relay,
    slots.inactive,
    replicas.roles,
    replicas.lag,
    replicas.conflicts,
    queue.vacuum,
    queue.outbox,
    queue.unserved,
    indexes.tables,
    indexes.missing,
    indexes.invalid,
    indexes.unused,
    settings.unknown,
    settings.deadlines,
    settings.leases,
    settings.tokens,
    settings.stores,
    process.files,
    process.memory,
    process.processors,
    process.loop,
)


def name_of(check: Check) -> str:
    """Return what a check is called."""
    return f"{check.__module__.rpartition('.')[2]}.{check.__name__}"


def summary_of(check: Check) -> str:
    """Return what a check looks at: the first line of its docstring."""
    return (check.__doc__ or "").partition("\n")[0]


def chosen(only: Sequence[str]) -> list[Check]:
    """Return the checks of these names, or modules; all without any.

    Raises:
        InvalidArgumentError: there is none of a name.
    """
    for name in only:
        if not any(name in _names(check) for check in CHECKS):
            raise InvalidArgumentError.of(
                "only", f"there is no check {name!r}; `entresol doctor --list` tells them"
            )
    return [check for check in CHECKS if not only or _names(check) & set(only)]


def findings(facts: Facts, checks: Iterable[Check]) -> list[tuple[str, Finding]]:
    """Return what the checks find, each with the check's name, the worst first."""
    order = list(Severity)
    found = [(name_of(check), finding) for check in checks for finding in check(facts)]
    return sorted(found, key=lambda item: order.index(item[1].severity))


def _names(check: Check) -> set[str]:
    name = name_of(check)
    return {name, name.partition(".")[0]}
