"""`entresol check`: every mistake of the protos, and of their functions, at once."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import click

from entresol.app import load_model, load_served
from entresol.cli.counts import counted
from entresol.codegen.protos import located
from entresol.config import Settings
from entresol.errors import SchemaError
from entresol.schema.breaking import compare


@click.command("check")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--functions", help="Modules, files or folders with custom methods, separated by commas.")
@click.option(
    "--against", type=click.Path(exists=True, path_type=Path), help="Earlier protos: refuse breaking changes."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(protos: str | None, functions: str | None, against: Path | None, as_json: bool) -> None:
    """Check the protos: names, annotations, columns, standard methods, and that nothing breaks its users.

    Imports the functions, too: each custom method has one, and each of them a method. What breaks the users of earlier
    protos is told only with --against, which belongs into CI.
    """
    settings = Settings.load(protos=protos, functions=functions)
    try:
        model = load_served(settings)
        if against is not None:
            _compare(against, settings)
    except SchemaError as error:
        if not as_json:
            raise
        fields = ("file", "line", "rule", "element", "problem", "remedy")
        mistakes = [{name: getattr(mistake, name) for name in fields} for mistake in error.mistakes]
        click.echo(json.dumps({"ok": False, "complete": error.is_complete, "mistakes": mistakes}))
        raise click.exceptions.Exit(1) from error
    summary = {"ok": True, "resources": sorted(model.resources), "services": sorted(model.services)}
    if as_json:
        click.echo(json.dumps(summary))
    else:
        found = counted(len(model.resources), "resource"), counted(len(model.services), "service")
        click.echo(f"no mistakes: {', '.join(found)}")


def _compare(against: Path, settings: Settings) -> None:
    before = load_model(dataclasses.replace(settings, protos=str(against)))
    gone, changed = compare(before, load_model(settings))
    mistakes = located(gone, against) + located(changed, Path(settings.protos))
    if mistakes:
        raise SchemaError(mistakes)
