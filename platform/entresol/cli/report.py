"""`entresol report`: which statements cost the database most, and which records the cache is asked for most."""

from __future__ import annotations

import click

from entresol.cli.report_hot import hot
from entresol.cli.report_slow import slow


@click.group("report")
def command() -> None:
    """Tell which statements are slow, and which records are hot."""


command.add_command(slow)
command.add_command(hot)
