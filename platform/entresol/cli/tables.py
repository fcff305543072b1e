"""Tables on standard output: as wide as the terminal, and wide enough for a program that reads them."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table

_WIDTH = 200


def show_table(table: Table) -> None:
    """Print a table."""
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)


def time_text(time: datetime | None) -> str:
    """Return a time to the second, or nothing."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M:%S}"
