"""The `entresol` command: one file for each sub-command, imported only when it is called."""

from __future__ import annotations

import importlib
import logging
import sys

import click

from entresol.errors import EntresolError

# By name, in the order in which help shows them: the module below entresol.cli that has the command, and what it does.
COMMANDS = {
    "demo": ("demo", "Start everything, load stories, and show what answers what."),
    "up": ("up", "Start PostgreSQL, Redis, relay and server, and serve until told to stop."),
    "check": ("check", "Check the protos, and that nothing breaks their users."),
    "plan": ("plan", "Print the SQL that the database still lacks for the protos."),
    "migrate": ("migrate", "Apply the migrations that are pending."),
    "serve": ("serve", "Serve every method of the protos over gRPC."),
    "work": ("work", "Run jobs until told to stop."),
    "jobs": ("jobs", "Look after jobs: what waits, runs and failed."),
    "operations": ("operations", "Follow operations: list, show, cancel, wait."),
    "schedules": ("schedules", "Look after schedules: pause, run, backfill."),
    "batches": ("batches", "Run batches, and see what readers are shown of them."),
    "relay": ("relay", "Relay changes to the cache until told to stop."),
    "relay-jobs": ("relay_jobs", "Relay jobs to RabbitMQ until told to stop."),
    "publish": ("publish", "Publish changes as events to RabbitMQ until told to stop."),
    "import": ("importer", "Load a CSV or NDJSON file into a resource."),
    "purge": ("purge", "Delete the records that a filter matches."),
    "warm": ("warm", "Note what the cache holds, or bring it back."),
    "doctor": ("doctor", "Look at settings and servers, and say what is wrong and what to do."),
    "report": ("report", "Tell which statements are slow, and which records are hot."),
    "verify": ("verify", "Read beside production, and say how consistent the cache is."),
    "call": ("call", "Call a method, and say who answered and how long it took."),
    "topology": ("topology", "Write the configuration of HAProxy before servers and databases."),
    "generate": ("generate", "Write typed clients, or a gRPC service config."),
}


class _Commands(click.Group):
    """Finds a command in its own module, so that `entresol --help` imports none of the platform."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = importlib.import_module(f"entresol.cli.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.command(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="entresol")
@click.option("-v", "--verbose", is_flag=True, help="Log what happens to standard error.")
def entresol(verbose: bool) -> None:
    """Entresol: a .proto becomes a service over PostgreSQL replicas and a coherent Redis cache.

    Settings come from ENTRESOL_* variables or the TOML file that ENTRESOL_CONFIG names; `entresol serve
    --help-settings` lists them.
    """
    from entresol import logs  # here, as commands are, so that --help need not wait for it
    from entresol.config import given

    level = logging.INFO if verbose else logging.WARNING
    # The only setting that is needed before the others can be complained of.
    form, _ = given().get("log_format", ("", ""))
    logs.start(level, str(form))


def _say(text: str) -> None:
    from entresol.redaction import redacted

    click.echo(f"error: {redacted(text)}", err=True)


def main() -> None:
    """Run the command; an error of the platform, or of a file, is one sentence and exit code 1."""
    try:
        sys.exit(entresol(standalone_mode=False))
    except EntresolError as error:
        _say(error.message)
        sys.exit(1)
    except OSError as error:
        _say(str(error))
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


if __name__ == "__main__":
    main()
