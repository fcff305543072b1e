"""Positions in PostgreSQL's log, as PostgreSQL writes them."""

from __future__ import annotations


def lsn_text(position: int) -> str:
    """Return a position as `pg_lsn` has it: two halves in hexadecimal digits."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
