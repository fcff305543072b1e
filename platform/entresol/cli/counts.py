"""Numbers of things in what commands say: `1 resource`, `2 resources`."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return the number with the noun, in the plural unless it is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
