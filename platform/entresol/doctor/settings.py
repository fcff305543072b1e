"""Of the settings alone: names that are none, and values that do not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.config import Settings
from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, note, warning
from entresol.errors import ConfigurationError
from entresol.storage.connections import Address, addresses

_BEATS = 3  # of a lease: as many may fail before it is over


def unknown(facts: Facts) -> Iterator[Finding]:
    """Look for variables ENTRESOL_* that are no settings."""
    for one in facts.asked.unknown:
        remedy = f"is {one.nearest} meant?" if one.nearest else "`entresol serve --help-settings` lists them"
        why = "it is ignored, and the setting that is meant has its default"
        yield warning(one.name, "is not a setting", why, remedy)


def deadlines(facts: Facts) -> Iterator[Finding]:
    """Look whether what a call waits for is over before the call is."""
    chosen = facts.settings
    if chosen.deadline_default_s > chosen.deadline_max_s:
        why = "a call that brings no deadline has the shorter one"
        yield _above("deadline_default_s", "deadline_max_s", chosen, why)
    if chosen.database_statement_timeout_s > chosen.deadline_max_s:
        why = "statements go on for callers who have been answered that their time is over"
        yield _above("database_statement_timeout_s", "deadline_max_s", chosen, why)
    for name in ("database_wait_s", "database_connect_timeout_s", "cache_timeout_s", "cache_lease_s"):
        if getattr(chosen, name) >= chosen.deadline_default_s:
            why = "a call waits for one thing until its time is over, and has none left to ask elsewhere"
            yield _above(name, "deadline_default_s", chosen, why)
    if chosen.drain_s < chosen.deadline_default_s:
        yield note(
            _variable("drain_s"),
            f"is {chosen.drain_s:g} s, and a call may take {chosen.deadline_default_s:g} s, if it says so "
            f"{chosen.deadline_max_s:g} s",
            "calls that take longer are cut when a server stops, and their clients must repeat them",
            "raise it to what your slowest calls take; the time that Kubernetes gives must be longer",
        )


def leases(facts: Facts) -> Iterator[Finding]:
    """Look whether leases outlast a few of the looks that keep them, and limits the looks that measure them."""
    chosen = facts.settings
    if chosen.cache_fence_s < 2 * chosen.cache_lease_s:
        why = "a reader that took its lease before a STRONG write may fill when the fence is gone; servers do not start"
        yield error(
            _variable("cache_fence_s"),
            f"is {chosen.cache_fence_s:g} s, less than twice cache_lease_s, {chosen.cache_lease_s:g} s",
            why,
            "raise the one or lower the other",
        )
    pairs = (
        ("jobs_lease_s", "jobs_poll_s", "jobs of workers that live are taken for lost, and run twice"),
        ("relay_lease_s", "relay_tick_s", "a relay that works loses its place to one that stands by"),
        ("replica_lag_max_s", "replica_poll_s", "replicas are sent away for being looked at too seldom"),
    )
    for name, look, why in pairs:
        longest, step = getattr(chosen, name), getattr(chosen, look)
        if longest < _BEATS * step:
            problem = f"is {longest:g} s, and {look} {step:g} s: there must be {_BEATS} of these in it"
            yield warning(_variable(name), problem, why, f"raise it, or lower {_variable(look)}")


def tokens(facts: Facts) -> Iterator[Finding]:
    """Look whether tokens are sealed with a key that is secret and long."""
    why = "anybody can make up page tokens and session tokens, and so ask for the primary at every read"
    remedy = "set it to a secret of 32 random bytes, the same on every server (`openssl rand -hex 32`)"
    keys = facts.settings.token_keys
    if keys == Settings().token_keys:
        yield warning(_variable("token_keys"), "is the key that everybody knows", why, remedy)
    elif any(len(key.encode()) < 16 for key in keys):
        yield error(_variable("token_keys"), "has a key of less than 16 bytes", why, remedy)


def stores(facts: Facts) -> Iterator[Finding]:
    """Look whether the stores are named, each in its place, and what one setting needs another gives."""
    chosen = facts.settings
    if not chosen.cache_url:
        why = "every read is a statement of the database"
        yield note(_variable("cache_url"), "is empty: there is no cache", why, "set it to a Redis or Valkey")
    if not chosen.database_read:
        why = "the primary answers every read that the cache does not"
        yield note(
            _variable("database_read"), "is empty: there are no replicas", why, "name them, if there are"
        )
    for place in sorted(_places(chosen.database_write) & _places(*chosen.database_read), key=str):
        why = "after a failover it is right; until then reads of replicas do not go there"
        remedy = "leave it so if the servers change roles; else take it out"
        if len(_places(chosen.database_write)) == 1:
            yield warning(str(place), "is named as primary and as replica", why, remedy)
    if chosen.jobs_relayed and not chosen.rabbitmq_urls:
        why = "workers take their jobs from nowhere"
        yield error(_variable("jobs_relayed"), "is set without RabbitMQ", why, "set ENTRESOL_RABBITMQ_URLS")
    if bool(chosen.tls_certificate) != bool(chosen.tls_key):
        why = "servers do not start"
        yield error(
            _variable("tls_certificate"), "and tls_key: one of them is missing", why, "set both, or none"
        )


def _places(*urls: str) -> set[Address]:
    found: set[Address] = set()
    for url in urls:
        try:
            found.update(addresses(url))
        except ConfigurationError:  # told by whoever connects
            continue
    return found


def _above(name: str, bound: str, chosen: Settings, why: str) -> Finding:
    problem = f"is {getattr(chosen, name):g} s, and {bound} {getattr(chosen, bound):g} s"
    return warning(_variable(name), problem, why, f"lower it, or raise {_variable(bound)}")


def _variable(name: str) -> str:
    return f"ENTRESOL_{name.upper()}"
