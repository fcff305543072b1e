"""`entresol verify`: how consistent is the cache, measured from beside production within a load that is given."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path

import click

from entresol.app import load_model
from entresol.cli.metadata import metadata_option
from entresol.cli.run import run, telemetry_of, until_told
from entresol.cli.verification.findings import Findings
from entresol.cli.verification.readers import Primary, Readers
from entresol.cli.verification.record import Record
from entresol.cli.verification.report import page, text
from entresol.cli.verification.verifier import Plan, Verifier
from entresol.clock import Clock
from entresol.config import Settings
from entresol.service.status import CallFailedError
from entresol.storage.pools import Pools
from entresol.storage.replication import ReplicationStream
from entresol.storage.store import Store
from entresol.storage.verifications import Verifications
from entresol.transport.caller import Metadata

CONNECTIONS = 2  # for rows of the primary


@click.command("verify")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option(
    "--target", "targets", default="127.0.0.1:9000", show_default=True, help="Servers, HOST:PORT with commas."
)
@click.option(
    "--for", "for_s", default=60.0, show_default=True, type=click.FloatRange(0.1), help="Seconds to run."
)
@click.option(
    "--sample", default=0.01, show_default=True, type=click.FloatRange(0, 1, min_open=True),
    help="Share of the committed changes that are read back.",
)  # fmt: skip
@click.option(
    "--reads-per-second", default=50.0, show_default=True, type=click.FloatRange(1),
    help="The load that is never exceeded.",
)  # fmt: skip
@click.option(
    "--lag-max", "lag_max_s", default=2.0, show_default=True, type=click.FloatRange(0),
    help="Seconds of the relay's lag: a difference no older than this is explained.",
)  # fmt: skip
@metadata_option
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with a plot.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-record", is_flag=True, help="Leave no record in the database, which the console shows.")
def command(
    protos: str | None,
    targets: str,
    for_s: float,
    sample: float,
    reads_per_second: float,
    lag_max_s: float,
    metadata: Metadata,
    report: Path | None,
    as_json: bool,
    no_record: bool,
) -> None:
    """Read beside production, and say how consistent the cache is.

    Follows the database's log through a temporary replication slot, which goes with its connection. A sample of the
    changes is read back as a client 0.1, 1, 10 and 60 s after the commit, and from every target after 2 s. Hits of the
    same records are compared with the primary: a difference is explained when the row had changed no longer ago than
    the relay's lag, else unexplained, and reported by the record's name.

    What is found is kept in the database, where the console shows it, the last 200 runs.

    Ends after --for, or when told to stop. Exit code 1: there was an unexplained difference.
    """
    settings = Settings.load(protos=protos)
    plan = Plan(for_s, sample, reads_per_second, lag_max_s)
    addresses = [target.strip() for target in targets.split(",")]
    try:
        findings = run(_verify(settings, plan, addresses, metadata, records=not no_record))
    except CallFailedError as error:
        raise click.ClickException(f"a target cannot be read: {error}") from error
    facts = findings.facts()
    if report is not None:
        report.write_text(page(facts))
    click.echo(json.dumps(facts) if as_json else text(facts))
    if findings.unexplained:
        click.get_current_context().exit(1)


async def _verify(
    settings: Settings, plan: Plan, targets: list[str], metadata: Metadata, *, records: bool
) -> Findings:
    """Return what was found until the time is over, or a signal came."""
    clock = Clock()

    def open_feed() -> AbstractAsyncContextManager[ReplicationStream]:
        slot = f"entresol_verify_{secrets.token_hex(6)}"  # the one before may not be gone yet
        return ReplicationStream.open(
            settings.database_write, slot, settings.relay_publication, temporary=True
        )

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(telemetry_of(settings, "entresol-verify"))
        model = load_model(settings)
        readers = stack.enter_context(Readers(targets, model, metadata, clock))
        few = replace(
            settings, database_read=(), database_read_connections=CONNECTIONS, database_write_connections=1
        )
        pools = await Pools.open(few)
        stack.push_async_callback(pools.close)
        primary = Primary(Store(pools, model), model, clock)
        verifier = Verifier(plan, open_feed, readers, primary, clock, random.SystemRandom())
        verifying = asyncio.create_task(verifier.run(), name="entresol verify")
        told = asyncio.create_task(until_told(), name="signal")
        record = Record(Verifications(pools), verifier.findings, clock) if records else None
        keeping = asyncio.create_task(record.keep_on() if record else asyncio.Event().wait(), name="record")
        tasks = (verifying, told, keeping)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in (verifying, keeping):
            if not task.cancelled():
                task.result()
        if record:
            await record.keep()
        return verifier.findings
