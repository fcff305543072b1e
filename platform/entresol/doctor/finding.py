"""What a check has to say: what is wrong, why it matters, and what to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Severity(enum.StrEnum):
    """How bad it is, the worst first."""

    ERROR = "error"  # a promise is broken, or calls fail
    WARNING = "warning"  # it will be, under load or with the next fault
    NOTE = "note"  # worth knowing


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `subject` is where: a server, a table, a setting."""

    severity: Severity
    subject: str
    problem: str
    why: str
    remedy: str


def error(subject: str, problem: str, why: str, remedy: str) -> Finding:
    """Return a finding that makes `entresol doctor` fail."""
    return Finding(Severity.ERROR, subject, problem, why, remedy)


def warning(subject: str, problem: str, why: str, remedy: str) -> Finding:
    """Return a finding that somebody should see to soon."""
    return Finding(Severity.WARNING, subject, problem, why, remedy)


def note(subject: str, problem: str, why: str, remedy: str) -> Finding:
    """Return a finding that may be as it should."""
    return Finding(Severity.NOTE, subject, problem, why, remedy)


def size(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
