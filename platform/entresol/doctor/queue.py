"""Of the platform's own tables: vacuum keeps up with a queue, which is rows that come and go, and jobs reach it."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, warning

DEAD_ROWS = 100_000
DEAD_SHARE = 5  # times as many as live ones
OUTBOX_ROWS = 1000


def vacuum(facts: Facts) -> Iterator[Finding]:
    """Look whether autovacuum looks after the queue's tables, and they are full of what is dead."""
    server = facts.queue
    if server is None:
        return
    why = "every look for the next job walks over what is dead, until the queue stands still"
    if server.parameters.get("autovacuum") == "off":
        remedy = "ALTER SYSTEM SET autovacuum = on, and SELECT pg_reload_conf()"
        yield error(server.label, "autovacuum is off", why, remedy)
    for table in server.own_tables:
        label = f"table entresol.{table.name}"
        if table.is_off:
            remedy = f"ALTER TABLE entresol.{table.name} RESET (autovacuum_enabled)"
            yield error(label, "autovacuum is off for it", why, remedy)
        if table.dead > max(DEAD_ROWS, DEAD_SHARE * table.live):
            remedy = (
                f"VACUUM entresol.{table.name}; if that does not help, a transaction holds it back "
                "(`entresol doctor --only database.transactions`)"
            )
            yield warning(label, f"has {table.dead} dead rows beside {table.live}", why, remedy)


def unserved(facts: Facts) -> Iterator[Finding]:
    """Look whether every queue that has jobs has a worker."""
    for one in facts.queue.unserved if facts.queue is not None else ():
        why = "they never begin"
        remedy = f"run `entresol work --queue {one.queue}`, or mend the name of the queue in the proto"
        yield error(f"queue {one.queue}", f"has jobs that are ready ({one.jobs}), and no worker", why, remedy)


def outbox(facts: Facts) -> Iterator[Finding]:
    """Look whether jobs for a queue in another cluster wait to be moved there."""
    tables = facts.primary.own_tables if facts.primary is not None else ()
    waiting = next((table.live for table in tables if table.name == "outbox"), 0)
    if waiting and not facts.settings.database_jobs:
        why = "nobody moves them: they never begin"
        remedy = "set ENTRESOL_DATABASE_JOBS again, on one server, until they have gone"
        yield error(
            "table entresol.outbox", f"has {waiting} jobs for a queue in another cluster", why, remedy
        )
    elif waiting > OUTBOX_ROWS:
        why = "they begin when they have arrived; a full queue refuses calls"
        remedy = "see that the database of ENTRESOL_DATABASE_JOBS answers, and what the servers' logs say of the outbox"
        yield warning("table entresol.outbox", f"has {waiting} jobs that have not arrived", why, remedy)
