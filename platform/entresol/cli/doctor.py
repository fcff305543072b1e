"""`entresol doctor`: what is wrong with the settings and the servers, why it matters, and what to do."""

from __future__ import annotations

import dataclasses
import json
import textwrap

import click

from entresol.app import load_model
from entresol.cli.counts import counted
from entresol.cli.folders import migration_folders
from entresol.cli.run import run
from entresol.clock import Clock
from entresol.config import Settings, unknown_variables
from entresol.doctor.catalogue import CHECKS, chosen, findings, name_of, summary_of
from entresol.doctor.facts import PROTOS, Asked, Facts, Fleet, Silent, gather
from entresol.doctor.finding import Finding, Severity
from entresol.doctor.host import read_host
from entresol.errors import ConfigurationError, SchemaError
from entresol.schema.model import Model

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_WIDTH = 100


@click.command("doctor")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="Only this check, or those of this part; may be repeated."
)
@click.option("--list", "show_list", is_flag=True, help="List the checks, and look at nothing.")
@click.option(
    "--servers", default=1, show_default=True, type=click.IntRange(0), help="Servers that there are."
)
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Processes of each: its --workers.",
)
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(0), help="Processes of `entresol work`."
)
@click.option(
    "--deadline", "deadline_s", default=10.0, show_default=True, type=click.FloatRange(0.1),
    help="Seconds that a server may take to answer.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    protos: str | None,
    only: tuple[str, ...],
    show_list: bool,
    servers: int,
    processes: int,
    workers: int,
    deadline_s: float,
    as_json: bool,
) -> None:
    """Look at the settings and the real servers, and say what is wrong, why it matters, and what to do.

    Changes nothing. Run it where the servers run, with their settings: files, memory and processors are those that
    it is given itself. Exit code 1: there was an error, or a server did not answer.
    """
    checks = chosen(only)
    if show_list:
        for check in CHECKS:
            click.echo(f"{name_of(check):24} {summary_of(check)}")
        return
    facts = _facts(Settings.load(protos=protos), Fleet(servers, processes, workers), deadline_s)
    found = findings(facts, checks)
    if as_json:
        rows = [{"check": name, **dataclasses.asdict(finding)} for name, finding in found]
        click.echo(json.dumps({"ok": not _is_ill(found), "checks": len(checks), "findings": rows}))
    else:
        for name, finding in found:
            click.echo(_text(name, finding))
        click.echo(_summary(len(checks), found))
    if _is_ill(found):
        click.get_current_context().exit(1)


def _facts(settings: Settings, fleet: Fleet, deadline_s: float) -> Facts:
    model: Model | None = None
    silent: list[Silent] = []
    try:
        model = load_model(settings)
    except (SchemaError, ConfigurationError) as error:  # the servers are looked at even so
        silent.append(Silent(PROTOS, error.message))
    asked = Asked(settings, read_host(), unknown_variables(), model, migration_folders(settings), fleet)
    facts = run(gather(asked, clock=Clock(), deadline_s=deadline_s))
    return dataclasses.replace(facts, silent=[*silent, *facts.silent])


def _is_ill(found: list[tuple[str, Finding]]) -> bool:
    return any(finding.severity is Severity.ERROR for _, finding in found)


def _text(name: str, finding: Finding) -> str:
    severity = click.style(finding.severity.value, fg=_COLOURS[finding.severity], bold=True)
    head = f"{severity} [{name}] {finding.subject}: {finding.problem}"
    parts = (("why", finding.why), ("do", finding.remedy))
    lines = [
        textwrap.fill(
            text, _WIDTH, initial_indent=f"  {label:4}", subsequent_indent="      ", break_long_words=False
        )
        for label, text in parts
    ]
    return "\n".join([head, *lines])


def _summary(checks: int, found: list[tuple[str, Finding]]) -> str:
    if not found:
        return f"{counted(checks, 'check')}: nothing found"
    counts = [
        counted(number, severity.value)
        for severity in Severity
        if (number := sum(finding.severity is severity for _, finding in found))
    ]
    return f"{counted(checks, 'check')}: {', '.join(counts)}"
