"""Of replication slots: there is room for those that are needed, and none holds the log for nobody."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, note, size, warning

HELD_BYTES = 1024**3
_SPARE = 2  # for a base backup, and `entresol verify`


def room(facts: Facts) -> Iterator[Finding]:
    """Look whether there is room for more slots and senders, and a slot can fill the disk."""
    server = facts.primary
    if server is None:
        return
    used = {"max_replication_slots": len(server.slots), "max_wal_senders": len(server.followers)}
    for name, count in used.items():
        most = server.number(name)
        if most is not None and most - count < _SPARE:
            say = error if most <= count else warning
            why = "a relay, a standby or a backup that comes next is refused"
            remedy = f"ALTER SYSTEM SET {name} = {max(2 * count, 10)}, and restart it"
            yield say(server.label, f"{count} of {name} {most} are used", why, remedy)
    if server.parameters.get("max_slot_wal_keep_size") == "-1" and server.slots:
        why = "while a slot is not read the log grows until the disk is full, and then the primary stops"
        remedy = "ALTER SYSTEM SET max_slot_wal_keep_size to half of what the disk has left, and reload"
        yield warning(
            server.label, "max_slot_wal_keep_size is -1: nothing bounds what slots keep", why, remedy
        )


def relay(facts: Facts) -> Iterator[Finding]:
    """Look whether the relay's slot is there, is read, and is whole."""
    server, settings = facts.primary, facts.settings
    if server is None or not settings.cache_url or "slots" in server.unread:
        return
    if not server.instance.may_replicate:
        why = "the relay cannot read the log, so that nothing is cached"
        yield error(server.label, "the role has no REPLICATION", why, "ALTER ROLE the relay's REPLICATION")
    slot = next((one for one in server.slots if one.name == settings.relay_slot), None)
    why = "no change reaches the cache: hits grow old, and what was emptied takes no entries"
    run = "run `entresol relay`, two for one to stand by"
    if slot is None:
        yield error(f"slot {settings.relay_slot}", "does not exist", why, run)
    elif slot.wal_status == "lost":
        yield error(f"slot {slot.name}", "is lost: the server has removed the log that it needs", why, run)
    elif not slot.active:
        yield error(f"slot {slot.name}", "is not read", why, run)


def inactive(facts: Facts) -> Iterator[Finding]:
    """Look for slots that nobody reads, and that keep the log."""
    for server in facts.databases:
        for slot in server.slots:
            if slot.active or (slot.name == facts.settings.relay_slot and facts.settings.cache_url):
                continue
            say = error if slot.held_bytes > HELD_BYTES else warning if slot.held_bytes else note
            why = "the server keeps its log, and rows that died, until the slot is read or dropped"
            remedy = f"start what reads it, or SELECT pg_drop_replication_slot('{slot.name}')"
            problem = f"nobody reads it, and it holds {size(slot.held_bytes)} of the log"
            yield say(f"slot {slot.name} of {server.label}", problem, why, remedy)
