"""Of what the machine and its container give: enough files, memory and processors for what the settings ask.

It is the process of `entresol doctor` that is looked at: run it where the servers run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from entresol.doctor.facts import Facts
from entresol.doctor.finding import Finding, error, size, warning

_OTHER_FILES = 64  # logs, libraries, the event loop's own
_PROCESS_BYTES = 200 * 1024**2  # of a server with its model, and nothing cached
_COPIES_SHARE = 0.5  # of the memory may be copies
_HERE = "this process"


def files(facts: Facts) -> Iterator[Finding]:
    """Look whether as many files may be open as there are calls and connections at once."""
    chosen, host = facts.settings, facts.asked.host
    pools = chosen.database_write_connections + chosen.database_read_connections
    pools += len(chosen.database_read) * (chosen.database_read_connections + 1)
    needed = chosen.concurrency_max + pools + _OTHER_FILES
    if 0 <= host.files_soft < needed:
        why = "clients and stores are refused (EMFILE) at the moment when there is most to do"
        remedy = "raise LimitNOFILE of the unit, or `ulimit -n`"
        if host.files_hard >= needed or host.files_hard < 0:
            remedy += f" (up to {host.files_hard} needs no root)"
        problem = f"may open {host.files_soft} files, and {needed} calls and connections may come"
        yield warning(_HERE, problem, why, remedy)


def memory(facts: Facts) -> Iterator[Finding]:
    """Look whether what processes keep fits into the memory that they are given."""
    chosen, most = facts.settings, facts.asked.host.memory_bytes
    if most is None:
        return
    processes = facts.asked.fleet.processes
    copies = processes * chosen.near_bytes_max if chosen.near_age_max_s and chosen.cache_url else 0
    needed = processes * _PROCESS_BYTES + copies
    told = f"{processes} processes x ({size(_PROCESS_BYTES)} + {size(copies / processes)} of copies)"
    why = "the kernel ends a process that asks for more, and its calls are lost"
    remedy = "lower ENTRESOL_NEAR_BYTES_MAX or --workers, or raise the container's memory"
    if needed > most:
        yield error(_HERE, f"may use {size(most)}, and {told} are {size(needed)}", why, remedy)
    elif copies > _COPIES_SHARE * most:
        yield warning(_HERE, f"may use {size(most)}, and copies of hot entries {size(copies)}", why, remedy)
    if chosen.batches_memory_bytes > most:
        why = "a batch that DuckDB does is ended by the kernel"
        remedy = "lower ENTRESOL_BATCHES_MEMORY_BYTES; more then goes to the disk"
        problem = f"may use {size(most)}, and a batch {size(chosen.batches_memory_bytes)}"
        yield warning(_HERE, problem, why, remedy)


def processors(facts: Facts) -> Iterator[Finding]:
    """Look whether there are more processes than processors, and those of a container are known."""
    host, processes = facts.asked.host, facts.asked.fleet.processes
    granted = host.processors if host.processors_granted is None else host.processors_granted
    if processes > math.ceil(granted):
        why = "processes take turns, and calls wait for a turn that may be a tenth of a second away"
        remedy = "start as many --workers as there are processors, or raise the container's"
        yield warning(_HERE, f"may use {granted:g} processors, and {processes} processes serve", why, remedy)
    if facts.settings.jobs_processes == 0 and math.ceil(granted) < host.processors:
        why = (
            f"a worker starts up to {host.processors} processes for isolated jobs, one for each that it sees"
        )
        remedy = f"set ENTRESOL_JOBS_PROCESSES to {max(1, math.floor(granted))}"
        yield warning(_HERE, f"sees {host.processors} processors, and may use {granted:g}", why, remedy)


def loop(facts: Facts) -> Iterator[Finding]:
    """Look whether the event loop is uvloop's."""
    if not facts.asked.host.has_uvloop:
        why = "commands do not start without it"
        yield error(_HERE, "has no uvloop", why, "pip install uvloop")
