"""`entresol generate`: from the protos, typed clients, and what any gRPC client is configured with."""

from __future__ import annotations

import json
from pathlib import Path

import click

from entresol.app import load_model
from entresol.codegen.python_client import generate
from entresol.codegen.service_config import service_config
from entresol.config import Settings

_protos = click.option("--protos", help="Folder of .proto files, or a descriptor set.")


@click.group("generate")
def command() -> None:
    """Write what clients need: a typed package, or a service config."""


@command.command("python")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write into."
)
@_protos
def python(out: Path, protos: str | None) -> None:
    """Write a typed client of every service below the folder OUT; what is there is replaced."""
    for path in generate(load_model(Settings.load(protos=protos)), out):
        click.echo(f"wrote {path}")


@command.command("service-config")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@click.option("--keyed", is_flag=True, help="Callers send a request_id with every write that takes one.")
@click.option(
    "--hedge-after", type=click.FloatRange(0), default=0.0, help="Seconds until a read is sent again."
)
@click.option("--health-checks/--no-health-checks", default=True, help="Off behind a proxy.")
@_protos
def config(out: Path, keyed: bool, hedge_after: float, health_checks: bool, protos: str | None) -> None:
    """Write the gRPC service config of every service: balancing, health, and which methods are repeated when.

    Give its text to a channel as `grpc.service_config`. Python clients of `entresol generate python` need none: they do
    the same by themselves.
    """
    found = service_config(
        load_model(Settings.load(protos=protos)),
        keyed=keyed,
        hedge_after_s=hedge_after,
        health_checks=health_checks,
    )
    out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    click.echo(f"wrote {out}")
