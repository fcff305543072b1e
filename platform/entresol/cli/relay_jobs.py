"""`entresol relay-jobs`: tell RabbitMQ of the jobs that are ready, for workers that take them from there."""

from __future__ import annotations

import click

from entresol.cli.run import living, run, until_over
from entresol.config import Settings
from entresol.jobs.relay import open_job_relay


@click.command("relay-jobs")
@click.option(
    "--queue", "queues", multiple=True, default=("default",), help="A queue to relay; repeat it for more."
)
def command(queues: tuple[str, ...]) -> None:
    """Relay the jobs of some queues to RabbitMQ until told to stop.

    Run two for each queue: they share the work, and either goes on alone. Workers with ENTRESOL_JOBS_RELAYED=true take
    jobs from there; others may serve the same queues from the database at the same time.
    """
    run(_relay(Settings.load(), queues))


async def _relay(settings: Settings, queues: tuple[str, ...]) -> None:
    async with living(settings, "job-relay") as life, open_job_relay(settings, queues) as relay:
        await until_over(relay.run(), life, f"relaying jobs of {', '.join(queues)}")
