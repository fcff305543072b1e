"""Options of jobs: on methods that begin one, and numbers that a job can have."""

from __future__ import annotations

import re
from typing import Any

from entresol.schema import options
from entresol.schema.model import Method
from entresol.schema.rules.scope import Scope
from entresol.schema.services import OPERATION

_RULE = "entresol/job"
_QUEUE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
ATTEMPTS_MAX = 1000
PRIORITY_MAX = 100
TIMEOUT_S_MAX = 7 * 86_400
CONCURRENCY_MAX = 10_000
RATE_MAX = 1_000_000


def check_jobs(scope: Scope) -> None:
    """Report options of jobs that cannot be kept."""
    for method in scope.methods:
        option = scope.source.option(scope.descriptor(method), options.METHOD)
        if option is not None and option.HasField("job"):
            for problem, remedy in _problems(method, option.job):
                scope.report.add(scope.descriptor(method), _RULE, problem, remedy, option=options.METHOD)


def _problems(method: Method, job: Any) -> list[tuple[str, str]]:
    if method.output.full_name != OPERATION:
        return [("begins no job", f"drop the option, or answer with {OPERATION}")]
    found = []
    if job.queue and not _QUEUE.fullmatch(job.queue):
        found.append(
            (f"queue {job.queue!r} is no name", "use lower-case letters, digits, - and _, at most 63")
        )
    if job.HasField("timeout") and not 0 < job.timeout.ToTimedelta().total_seconds() <= TIMEOUT_S_MAX:
        found.append(("job.timeout cannot be kept", f"give more than 0 s and at most {TIMEOUT_S_MAX} s"))
    if not 0 <= job.attempts <= ATTEMPTS_MAX:
        found.append((f"job.attempts is {job.attempts}", f"give 1 to {ATTEMPTS_MAX}"))
    if abs(job.priority) > PRIORITY_MAX:
        found.append((f"job.priority is {job.priority}", f"give -{PRIORITY_MAX} to {PRIORITY_MAX}"))
    if not 0 <= job.concurrency <= CONCURRENCY_MAX:
        found.append((f"job.concurrency is {job.concurrency}", f"give 1 to {CONCURRENCY_MAX}"))
    if job.queue_max < 0:
        found.append((f"job.queue_max is {job.queue_max}", "give 1 or more"))
    if job.HasField("rate"):
        found += _rate_problems(job.rate)
    return found


def _rate_problems(rate: Any) -> list[tuple[str, str]]:
    found = []
    for name, least, number in (("starts", 1, rate.starts), ("burst", 0, rate.burst)):
        if not least <= number <= RATE_MAX:
            found.append((f"job.rate.{name} is {number}", f"give 1 to {RATE_MAX}"))
    if rate.HasField("per") and not 0 < rate.per.ToTimedelta().total_seconds() <= TIMEOUT_S_MAX:
        found.append(("job.rate.per cannot be kept", f"give more than 0 s and at most {TIMEOUT_S_MAX} s"))
    return found
