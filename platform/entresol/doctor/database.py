"""Of the servers of the database: whether they keep what they promise, and whatever holds them up."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, note, warning
from entresol.storage.administration import SERVER_VERSION_MIN
from entresol.storage.examination import Statistics

COLUMN_LISTS_SINCE = 15
FAILOVER_SLOTS_SINCE = 17
LONG_S = 300.0
HORIZON_AGE = 10_000_000  # transactions that vacuum must leave behind
FROZEN_AGE = 1_000_000_000  # of 2,147,483,648
FROZEN_AGE_ERROR = 1_800_000_000


def primary(facts: Facts) -> Iterator[Finding]:
    """Look whether one server accepts writes, and one only."""
    accepting = [server for server in facts.databases if not server.instance.in_recovery]
    if facts.writers and facts.primary is None:
        listed = ", ".join(server.address for server in facts.writers)
        why = "every write fails, and every read that no replica may answer"
        yield error(listed, "is no primary", why, "promote one, or mend ENTRESOL_DATABASE_WRITE")
    if len(accepting) > 1:
        listed = ", ".join(server.address for server in accepting)
        why = "they are not copies of each other: what one is told the other never shows"
        remedy = "stop the one that is not the primary, and make it a standby of the other (pg_rewind)"
        yield error(listed, "accept writes, both", why, remedy)


def version(facts: Facts) -> Iterator[Finding]:
    """Look at the version: whether it works, and what older ones lack."""
    for server in facts.databases:
        major = server.instance.version // 10_000
        if major < SERVER_VERSION_MIN:
            why = "the platform's statements need what it does not have"
            yield error(server.label, f"is PostgreSQL {major}", why, f"use {SERVER_VERSION_MIN} or newer")
        elif major < COLUMN_LISTS_SINCE and server is facts.primary and facts.settings.cache_url:
            why = "it sends the relay whole rows, where newer versions send the names alone"
            yield note(server.label, f"is PostgreSQL {major}", why, "use 15 or newer")
        elif major < FAILOVER_SLOTS_SINCE and server is facts.primary and facts.settings.cache_url:
            why = "a slot does not follow a failover: the cache then begins anew, and is cold"
            yield note(server.label, f"is PostgreSQL {major}", why, "use 17 or newer, with failover slots")


def parameters(facts: Facts) -> Iterator[Finding]:
    """Look whether the server's settings are those that the platform counts on."""
    for server in facts.databases:
        found = server.parameters
        if found.get("wal_level", "logical") != "logical" and facts.settings.cache_url:
            why = "the relay cannot read the log, so that nothing is cached"
            remedy = "ALTER SYSTEM SET wal_level = logical, and restart it"
            yield error(server.label, f"wal_level is {found['wal_level']}", why, remedy)
        if found.get("default_transaction_isolation", "read committed") != "read committed":
            why = "statements of the platform expect to see what was committed before each; others meet conflicts"
            remedy = (
                "ALTER SYSTEM RESET default_transaction_isolation, and of the role and the database likewise"
            )
            isolation = found["default_transaction_isolation"]
            yield warning(server.label, f"default_transaction_isolation is {isolation}", why, remedy)
        if found.get("default_transaction_read_only") == "on" and not server.instance.in_recovery:
            why = "every write fails"
            remedy = (
                "ALTER SYSTEM RESET default_transaction_read_only, and of the role and the database likewise"
            )
            yield error(server.label, "default_transaction_read_only is on", why, remedy)
        if server.number("idle_session_timeout"):
            why = "it ends connections that rest in a pool, and the next call finds that out"
            yield warning(
                server.label, "idle_session_timeout is set", why, "ALTER ROLE the platform's SET it to 0"
            )
        shortest_ms = server.number("transaction_timeout") or 0
        longest_s = max(facts.settings.database_statement_timeout_s, facts.settings.deadline_max_s)
        if 0 < shortest_ms < 1000 * longest_s:
            why = f"calls may take {longest_s:g} s, and jobs longer; the server ends their connections before"
            remedy = "ALTER ROLE the platform's SET transaction_timeout = 0: each statement has a timeout of its own"
            yield warning(server.label, f"transaction_timeout is {shortest_ms} ms", why, remedy)


def durability(facts: Facts) -> Iterator[Finding]:
    """Look whether what was acknowledged survives a crash, and commits wait for a standby that is not there."""
    server = facts.primary
    if server is None:
        return
    found = server.parameters
    if found.get("synchronous_commit") == "off":
        why = "a crash loses what was acknowledged, and what the cache has shown"
        remedy = "ALTER SYSTEM SET synchronous_commit = on (or local), and SELECT pg_reload_conf()"
        yield error(server.label, "synchronous_commit is off", why, remedy)
    for name in ("fsync", "full_page_writes"):
        if found.get(name) == "off":
            why = "a crash of the machine may leave no database at all"
            remedy = f"ALTER SYSTEM SET {name} = on, unless the data can be made again"
            yield warning(server.label, f"{name} is off", why, remedy)
    names = found.get("synchronous_standby_names", "")
    synchronous = [one for one in server.followers if one.sync_state in ("sync", "quorum")]
    # Who may not see more than that there are some sees no state of them.
    is_seen = "followers" not in server.unread and all(one.state for one in server.followers)
    if names and not synchronous and is_seen:
        why = "every commit waits for a standby that is not connected"
        remedy = "start the standby, or ALTER SYSTEM SET synchronous_standby_names = '' and reload"
        yield error(server.label, f"synchronous_standby_names is {names!r}", why, remedy)
    elif not names and facts.settings.database_read:
        why = "a failover may lose commits that were acknowledged a moment before"
        remedy = "set synchronous_standby_names, if no commit may be lost; each then waits for a standby"
        yield note(server.label, "no standby is synchronous", why, remedy)


def sessions(facts: Facts) -> Iterator[Finding]:
    """Look whether sessions have the settings that they were opened with, or a pooler takes them away."""
    for server in facts.databases:
        if server.instance.session_jit != "off" or server.instance.session_timeout == "0":
            why = "statements have no bound on the server when their process is gone, and are compiled for nothing"
            remedy = (
                "connect to PostgreSQL itself, or let the pooler pass startup parameters on and pool by session; "
                "else ALTER ROLE the platform's SET jit = off and SET statement_timeout"
            )
            yield warning(
                server.label, "a session was opened with jit off and a timeout, and has not", why, remedy
            )


def transactions(facts: Facts) -> Iterator[Finding]:
    """Look at what keeps vacuum from removing the dead: old transactions, standbys, slots."""
    for server in facts.databases:
        for one in server.transactions:
            if one.age_s > LONG_S:
                prepared = one.state == "prepared"
                end = (
                    f"ROLLBACK PREPARED '{one.name}'"
                    if prepared
                    else f"SELECT pg_terminate_backend({one.name})"
                )
                yield warning(
                    server.label,
                    f"a transaction of {one.role} has been open for {one.age_s:.0f} s ({one.state}): {one.query}",
                    "rows that died since then stay: queues and hot tables grow, and a new slot waits for it",
                    f"end it where it was begun, or {end}",
                )
        holders = [(f"standby {one.name}", one.xmin_age) for one in server.followers]
        holders += [(f"slot {one.name}", one.xmin_age) for one in server.slots]
        for name, age in holders:
            if age > HORIZON_AGE:
                why = "rows that died since then stay: queues and hot tables grow"
                remedy = "end what it reads there; drop a slot that nobody reads"
                yield warning(server.label, f"{name} holds back {age} transactions", why, remedy)


def wraparound(facts: Facts) -> Iterator[Finding]:
    """Look at how far transaction numbers are from their end."""
    server = facts.primary
    if server is not None and server.instance.frozen_age > FROZEN_AGE:
        say = error if server.instance.frozen_age > FROZEN_AGE_ERROR else warning
        why = "at two thousand million the server takes no writes until everything was vacuumed"
        remedy = (
            "end what holds vacuum back (`entresol doctor --only database.transactions`), then VACUUM FREEZE"
        )
        yield say(
            server.label, f"the oldest row is {server.instance.frozen_age} transactions old", why, remedy
        )


def statistics(facts: Facts) -> Iterator[Finding]:
    """Look whether the server counts statements, so that slow ones can be found."""
    for server in facts.databases:
        found = server.statistics
        if found is not None and not (found.is_loaded and found.is_created):
            why = "`entresol report slow` cannot tell which statements cost most"
            yield note(server.label, "pg_stat_statements is not there", why, enabling(found))


def enabling(found: Statistics) -> str:
    """Return how pg_stat_statements is switched on, where it is not."""
    steps = []
    if not found.is_available:
        steps.append("install PostgreSQL's contrib package")
    if not found.is_loaded:
        steps.append("add pg_stat_statements to shared_preload_libraries and restart the server")
    if not found.is_created:
        steps.append("CREATE EXTENSION pg_stat_statements on the primary")
    return ", then ".join(steps)


def migrations(facts: Facts) -> Iterator[Finding]:
    """Look whether every migration is applied, and is still what was applied."""
    for one in facts.migrations:
        label = f"{one.folder}/{one.name}"
        if one.state == "pending":
            why = "tables may lack what servers of this release need; then they do not start"
            yield warning(label, "is not applied", why, "entresol migrate")
        elif one.state == "changed":
            why = "what the file says is not what the database has, and no migration is applied any more"
            yield error(
                label,
                "was changed after it was applied",
                why,
                "restore it, and put the change into a new file",
            )
        elif one.state == "unknown":
            why = "a newer release has been here; it expands only, so that this one goes on"
            yield note(
                label, "is applied, and these folders do not have it", why, "deploy the release that has it"
            )
