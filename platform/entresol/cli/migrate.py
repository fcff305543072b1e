"""`entresol migrate`: bring the database to what the migrations say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from entresol.app import load_model
from entresol.cli.folders import migration_folders, system_folder
from entresol.cli.run import run
from entresol.config import Settings
from entresol.errors import ConfigurationError, SchemaError
from entresol.storage.check import check_schema
from entresol.storage.migrate import migrate, status
from entresol.storage.plan import command as plan_command


@click.command("migrate")
@click.option("--migrations", help="Folder with one folder of migrations for each set of tables.")
@click.option("--dry-run", is_flag=True, help="Say what would be applied, and change nothing.")
@click.option("--status", "show_status", is_flag=True, help="List every migration and its state.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(migrations: str | None, dry_run: bool, show_status: bool, as_json: bool) -> None:
    """Apply what is pending: the platform's own migrations first, then those of each folder, in order.

    One runner at a time; each file whole or not at all; a file that was changed after it was applied is refused.
    """
    settings = Settings.load(migrations=migrations)
    if show_status:
        rows = [
            {**dataclasses.asdict(state), "applied_time": str(state.applied_time or ""), **of}
            for url, folders, of in _databases(settings)
            for state in run(status(url, folders))
        ]
        _print(rows, "{folder}/{name}: {state}", as_json)
        return
    applied = [
        {**dataclasses.asdict(item), **of}
        for url, folders, of in _databases(settings)
        for item in run(migrate(url, folders, dry_run=dry_run))
    ]
    _print(applied, "{folder}/{name}: " + ("pending" if dry_run else "applied"), as_json)
    if not (dry_run and applied):
        _warn(settings)


def _databases(settings: Settings) -> list[tuple[str, list[Path], dict[str, str]]]:
    """Return each database with the folders that are for it, and what its rows have beside the others'.

    The cluster of the queue is first: what serves the other one may need it.
    """
    databases: list[tuple[str, list[Path], dict[str, str]]] = [
        (settings.database_write, migration_folders(settings), {})
    ]
    if settings.database_jobs:
        databases.insert(0, (settings.database_jobs, [system_folder()], {"database": "database_jobs"}))
    return databases


def _print(rows: list[dict[str, object]], template: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows))
    elif not rows:
        click.echo("nothing to apply")
    for row in [] if as_json else rows:
        click.echo(template.format(**row) + (f" in {row['database']}" if "database" in row else ""))


def _warn(settings: Settings) -> None:
    """Say what no migration makes of what the protos ask for, where there are protos: `entresol serve` refuses it."""
    if not Path(settings.protos).exists():
        return
    try:
        model = load_model(settings)
    except (
        SchemaError,
        ConfigurationError,
    ):  # `entresol check` tells that; migrations do not depend on protos
        return
    lacks = run(check_schema(settings.database_write, model))
    if lacks.missing:
        command = plan_command(model, settings.migrations)
        click.echo(f"no migration makes this yet: {'; '.join(lacks.missing)}; run `{command}`", err=True)
    if lacks.refused:
        click.echo(f"{'; '.join(lacks.refused)}; `entresol plan` tells the steps", err=True)
