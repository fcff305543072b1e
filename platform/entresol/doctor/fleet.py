"""Of all together: who does not answer, whether the clocks agree, and whether the pools fit into the servers."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.doctor.facts import CACHE, MIGRATIONS, PROTOS, TABLES, Facts
from entresol.doctor.finding import Finding, error, note, warning
from entresol.storage.examination import Examination

SKEW_S = 1.0
SKEW_ERROR_S = 30.0
FULL = 0.8  # of what a server has room for
_HEART, _WAKE_UP = 1, 1  # of a worker, to the primary
_POLL = 1  # of every process, to each replica
_RELAY = 3  # its snapshots, and one connection each to write and to read what it refills


def silence(facts: Facts) -> Iterator[Finding]:
    """Look whether every server answers, and tells what it is asked."""
    for one in facts.silent:
        if one.subject == PROTOS:
            why = "tables and indexes cannot be compared with what the protos ask for"
            yield error(one.subject, f"cannot be used: {one.reason}", why, "entresol check")
            continue
        if one.subject in (TABLES, MIGRATIONS):
            why = "what servers of this release need could not be compared with what the database has"
            remedy = "run it as the role that migrates, and see what holds the primary up"
            yield warning(one.subject, f"cannot be read: {one.reason}", why, remedy)
            continue
        remedy = "start it, or mend its URL, its password, or the network between"
        if one.subject == CACHE:
            remedy += "; of Sentinels or a cluster the URL says so (redis+sentinel://, redis+cluster://)"
        why = "nothing that depends on it could be looked at, and calls that need it wait or fail"
        yield error(one.subject, f"does not answer: {one.reason}", why, remedy)
    for server in facts.databases:
        for what, reason in server.unread.items():
            why = "the checks that need it found nothing because they saw nothing"
            remedy = "grant the role pg_monitor, and run it again"
            yield note(server.label, f"did not tell its {what.replace('_', ' ')}: {reason}", why, remedy)


def clocks(facts: Facts) -> Iterator[Finding]:
    """Look whether the clocks of this machine, of the database's servers and of the cache agree."""
    seen = [(server.label, server.clock_offset_s, server.round_trip_s) for server in facts.databases]
    seen += [(server.label, server.clock_offset_s, server.round_trip_s) for server in facts.caches]
    for subject, offset_s, round_trip_s in seen:
        sure_s = abs(offset_s) - round_trip_s / 2
        if sure_s > SKEW_S:
            say = error if sure_s > SKEW_ERROR_S else warning
            direction = "ahead of" if offset_s > 0 else "behind"
            yield say(
                subject,
                f"its clock is {abs(offset_s):.1f} s {direction} this machine's",
                "lag of replicas and delays are told wrongly, entries are refreshed too early or too late, and times "
                "in records jump between servers",
                "run an NTP client on both machines (`chronyc tracking` tells which is off)",
            )


def connections(facts: Facts) -> Iterator[Finding]:
    """Look whether the pools of all processes fit into max_connections, and into the limits of role and database."""
    settings, fleet = facts.settings, facts.asked.fleet
    serving = fleet.servers * fleet.processes
    isolated = 2 * settings.jobs_processes
    writes, reads = settings.database_write_connections, settings.database_read_connections
    on_primary = serving * (writes + reads) + fleet.workers * (writes + reads + _HEART + _WAKE_UP + isolated)
    on_primary += _RELAY
    primary_sum = (
        f"{fleet.servers} servers x {fleet.processes} processes x ({writes} + {reads})"
        f" + {fleet.workers} workers x ({writes} + {reads} + {_HEART + _WAKE_UP + isolated})"
        f" + {_RELAY} of a relay = {on_primary}"
    )
    on_replica = (serving + fleet.workers) * (reads + _POLL)
    replica_sum = f"({serving} + {fleet.workers} processes) x ({reads} + {_POLL}) = {on_replica}"
    for server in facts.databases:
        needed, told = (on_replica, replica_sum) if server.instance.in_recovery else (on_primary, primary_sum)
        yield from _room(server, needed, told)


def _room(server: Examination, needed: int, told: str) -> Iterator[Finding]:
    room, limit = _limit(server)
    if room is None or needed <= FULL * room:
        return
    say = error if needed > room else warning
    yield say(
        server.label,
        f"the platform's pools may ask for {needed} connections, and there is room for {room} ({limit}): {told}",
        "a connection that is refused is a call that fails, at the moment when there is most to do",
        "lower ENTRESOL_DATABASE_WRITE_CONNECTIONS or ENTRESOL_DATABASE_READ_CONNECTIONS, raise max_connections, or "
        "tell the true numbers by --servers, --processes and --workers",
    )


def _limit(server: Examination) -> tuple[int | None, str]:
    """Return for how many connections of ours there is room, and what says so."""
    limits: list[tuple[int, str]] = []
    most = server.number("max_connections")
    if most is not None:
        kept = (server.number("superuser_reserved_connections") or 0) + (
            server.number("reserved_connections") or 0
        )
        limits.append((most - kept, f"max_connections {most}, of which {kept} are reserved"))
    if server.instance.role_limit >= 0:
        limits.append((server.instance.role_limit, "the role's CONNECTION LIMIT"))
    if server.instance.database_limit >= 0:
        limits.append((server.instance.database_limit, "the database's CONNECTION LIMIT"))
    return min(limits, default=(None, ""), key=lambda item: item[0] or 0)
