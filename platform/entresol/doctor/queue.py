"""Of the platform's own tables: that vacuum keeps up with a queue, which is rows that come and go."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, warning

DEAD_ROWS = 100_000
DEAD_SHARE = 5  # times as many as live ones


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
