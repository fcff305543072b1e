"""`entresol generate`: typed clients from the protos."""

from __future__ import annotations

from pathlib import Path

import click

from entresol.app import load_model
from entresol.codegen.python_client import generate
from entresol.config import Settings


@click.command("generate")
@click.argument("language", type=click.Choice(["python"]))
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write into."
)
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
def command(language: str, out: Path, protos: str | None) -> None:
    """Write a typed client of every service in LANGUAGE below the folder OUT; what is there is replaced."""
    for path in generate(load_model(Settings.load(protos=protos)), out):
        click.echo(f"wrote {path}")
