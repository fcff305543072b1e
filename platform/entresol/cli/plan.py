"""`entresol plan`: the SQL that the database still lacks for the protos."""

from __future__ import annotations

import json
from pathlib import Path

import click

from entresol.app import load_model
from entresol.cli.run import run
from entresol.config import Settings
from entresol.errors import MigrationError
from entresol.schema.model import Model
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_catalog
from entresol.storage.plan import Plan, plan, write_files


@click.command("plan")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--only", help="A package or resource type; default: everything.")
@click.option(
    "--write",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write files into FOLDER.",
)
@click.option("--title", default="change", show_default=True, help="What the files are called.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(protos: str | None, only: str | None, folder: Path | None, title: str, as_json: bool) -> None:
    """Compare the protos with the database and print the SQL that is missing, for a person to read and commit.

    What is no addition (a changed type, a removed column) is refused, with the steps that do it safely.
    """
    settings = Settings.load(protos=protos)
    planned = run(_plan(settings, load_model(settings), only))
    paths = write_files(planned, folder, title) if folder is not None and planned.statements else []
    if as_json:
        refused = [str(refusal) for refusal in planned.refused]
        click.echo(
            json.dumps({"sql": planned.texts(), "refused": refused, "files": [str(path) for path in paths]})
        )
    elif paths:
        for path in paths:
            click.echo(f"wrote {path}: read it, then run `entresol migrate`")
    elif planned.statements:
        click.echo("\n".join(planned.texts()))
    elif not planned.refused:
        click.echo("nothing to do: the database has what the protos ask for")
    if planned.refused:
        raise MigrationError("\n".join(str(refusal) for refusal in planned.refused))


async def _plan(settings: Settings, model: Model, only: str | None) -> Plan:
    async with connect_primary(settings.database_write) as connection:
        return plan(model, await read_catalog(connection), only=only)
