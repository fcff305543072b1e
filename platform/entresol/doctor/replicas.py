"""Of replicas: that they are replicas, follow closely, and do not cancel what reads them."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, note, warning
from entresol.storage.connections import addresses


def roles(facts: Facts) -> Iterator[Finding]:
    """Look whether every read URL leads to a standby, and to one server each."""
    for server in facts.readers:
        if not server.instance.in_recovery:
            why = "reads do not go to a server that is no standby, so that there is one less to answer them"
            yield warning(server.label, "is named as a replica", why, "take it out of ENTRESOL_DATABASE_READ")
    for url in facts.settings.database_read:
        listed = addresses(url)
        if len(listed) > 1:
            why = "only the first is used"
            remedy = "give each replica a URL of its own, separated by white space"
            yield warning(
                ", ".join(map(str, listed)), "are in one URL of ENTRESOL_DATABASE_READ", why, remedy
            )


def lag(facts: Facts) -> Iterator[Finding]:
    """Look whether replicas are connected to the primary, and show what it has."""
    most_s = facts.settings.replica_lag_max_s
    for server in facts.databases:
        found = server.instance
        if not found.in_recovery:
            continue
        why = "it answers no reads, which the others and the primary then have to"
        if found.is_paused:
            yield error(server.label, "its replay is paused", why, "SELECT pg_wal_replay_resume() there")
        elif not found.is_streaming:
            remedy = (
                "look into its log: it may need log that the primary has removed, and then a new base backup"
            )
            yield warning(server.label, "does not stream from a primary", why, remedy)
        if found.lag_s > most_s:
            remedy = "look for long queries there, and for a disk or a network that is too slow"
            yield error(
                server.label, f"is {found.lag_s:.1f} s behind; {most_s:g} s are let pass", why, remedy
            )


def conflicts(facts: Facts) -> Iterator[Finding]:
    """Look whether replay cancels reads, or waits for them without end."""
    analytics = facts.settings.database_analytics
    for server in facts.readers:
        if not server.instance.in_recovery or server.url == analytics:
            continue
        if server.parameters.get("hot_standby_feedback") == "off":
            why = "a read of rows that the primary vacuums is cancelled, and done again elsewhere"
            remedy = (
                "ALTER SYSTEM SET hot_standby_feedback = on there, and reload; not on a standby for analytics"
            )
            yield note(server.label, "hot_standby_feedback is off", why, remedy)
        if server.number("max_standby_streaming_delay") == -1:
            why = "one long read stops replay for as long as it takes, and every other read with it"
            remedy = "ALTER SYSTEM SET max_standby_streaming_delay = '30s' there, and reload"
            yield warning(server.label, "max_standby_streaming_delay has no bound", why, remedy)
