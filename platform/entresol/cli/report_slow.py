"""`entresol report slow`: which statements cost the database most, by resource and operation."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.table import Table

from entresol.app import load_model
from entresol.cli.run import run
from entresol.cli.tables import show_table
from entresol.config import Settings
from entresol.doctor.database import enabling
from entresol.storage.connections import Address, addresses
from entresol.storage.slow import Statements, statements
from entresol.storage.sqlstate import DRIVER_ERRORS
from entresol.storage.statement_names import StatementNames, normalized

_DEADLINE_S = 15.0
_LOOKED_AT = 1000  # statements of each server
_WIDTH = 80


@dataclass(slots=True)
class Cost:
    """What statements of one shape cost on the servers of one role."""

    resource: str
    operation: str
    role: str
    query: str
    calls: int = 0
    total_s: float = 0.0
    max_ms: float = 0.0
    rows: int = 0
    blocks_read: int = 0
    share: float = 0.0  # of the time of all statements, on servers of this role

    @property
    def mean_ms(self) -> float:
        """Return how long one takes."""
        return 1000 * self.total_s / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Lack:
    """A server that cannot tell, and what to do about it."""

    server: str
    reason: str
    remedy: str


@click.command("slow")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Statements to tell.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def slow(protos: str | None, limit: int, as_json: bool) -> None:
    """Tell which statements cost the database's servers most time, by resource and operation.

    Counted by PostgreSQL's extension pg_stat_statements, on every server for itself, since it was last reset
    (`SELECT pg_stat_statements_reset()`). Where it is not there it says how to enable it, and what runs just now.
    """
    settings = Settings.load(protos=protos)
    names = StatementNames(load_model(settings))
    told = run(_ask(settings))
    found = [one for one in told if isinstance(one, Statements)]
    costs = sorted(_costs(found, names), key=lambda cost: cost.total_s, reverse=True)[:limit]
    lacks = [one for one in told if isinstance(one, Lack)] + list(_lacks(found))
    running = list(_running(found, names))[:limit]
    if as_json:
        rows = [{**dataclasses.asdict(cost), "mean_ms": cost.mean_ms} for cost in costs]
        lacking = [dataclasses.asdict(lack) for lack in lacks]
        click.echo(
            json.dumps({"complete": not lacks, "statements": rows, "running": running, "lacks": lacking})
        )
        return
    _show(costs, running)
    for lack in lacks:
        click.echo(f"{lack.server}: {lack.reason}; to enable it: {lack.remedy}", err=True)
    if lacks:
        click.echo(
            "until then the dashboard `Database and replicas` tells how long statements take, by resource and "
            "operation, where metrics are collected (ENTRESOL_TELEMETRY)",
            err=True,
        )


async def _ask(settings: Settings) -> Sequence[Statements | Lack]:
    async def ask(url: str, address: Address) -> Statements | Lack:
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await statements(url, address, settings, _LOOKED_AT)
        except DRIVER_ERRORS as error:
            reason = str(error) or type(error).__name__
            return Lack(str(address), f"does not answer: {reason}", "start it, or mend its URL")

    urls = [settings.database_write, *settings.database_read]
    places: dict[Address, str] = {}
    for url in urls:
        for address in addresses(url):
            places.setdefault(address, url)
    return await asyncio.gather(*(ask(url, address) for address, url in places.items()))


def _costs(found: Iterable[Statements], names: StatementNames) -> list[Cost]:
    by_shape: dict[tuple[str, str], Cost] = {}
    for server in found:
        role = _role(server)
        for use in server.uses:
            name = names.name_of(use.query)
            key = (role, normalized(use.query))
            cost = by_shape.setdefault(key, Cost(name.resource, name.operation, role, use.query))
            cost.calls += use.calls
            cost.total_s += use.total_s
            cost.max_ms = max(cost.max_ms, use.max_ms)
            cost.rows += use.rows
            cost.blocks_read += use.blocks_read
    for cost in by_shape.values():
        whole_s = sum(other.total_s for other in by_shape.values() if other.role == cost.role)
        cost.share = cost.total_s / whole_s if whole_s else 0.0
    return list(by_shape.values())


def _role(server: Statements) -> str:
    return "replica" if server.in_recovery else "primary"


def _lacks(found: Iterable[Statements]) -> Iterator[Lack]:
    for server in found:
        if not server.is_counted:
            label = f"{_role(server)} {server.address}"
            yield Lack(label, "pg_stat_statements is not there", enabling(server.statistics))


def _running(found: Iterable[Statements], names: StatementNames) -> Iterator[dict[str, Any]]:
    for server in found:
        for one in server.running:
            name = names.name_of(one.query)
            yield {**dataclasses.asdict(name), "role": _role(server), **dataclasses.asdict(one)}


def _show(costs: Sequence[Cost], running: Sequence[dict[str, Any]]) -> None:
    heads = (
        "resource",
        "operation",
        "on",
        "calls",
        "mean ms",
        "max ms",
        "total s",
        "share",
        "rows",
        "read",
        "statement",
    )
    table = Table(*heads, box=None, pad_edge=False)
    for cost in costs:
        numbers = (
            f"{cost.mean_ms:.2f}",
            f"{cost.max_ms:.1f}",
            f"{cost.total_s:.1f}",
            f"{100 * cost.share:.0f} %",
        )
        per_call = (f"{cost.rows / max(1, cost.calls):.1f}", f"{cost.blocks_read / max(1, cost.calls):.1f}")
        text = " ".join(cost.query.split())[:_WIDTH]
        table.add_row(cost.resource, cost.operation, cost.role, str(cost.calls), *numbers, *per_call, text)
    if costs:
        show_table(table)
    for one in running:
        name = f"{one['resource']} {one['operation']}".strip()
        click.echo(
            f"running for {one['running_s']:.1f} s on a {one['role']}: {name}: {one['query'][:_WIDTH]}"
        )
