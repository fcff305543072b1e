"""`entresol call`: call any method of a running server, by reflection."""

from __future__ import annotations

import json
from typing import Any

import click
from google.protobuf import descriptor_pool
from google.protobuf.json_format import MessageToDict, MessageToJson
from google.rpc.error_details_pb2 import BadRequest

from entresol.cli.metadata import metadata_option
from entresol.service.call import (
    ANSWERED_BY_KEY,
    CONSISTENCY_KEY,
    READ_MASK_KEY,
    SESSION_KEY,
    STALENESS_KEY,
)
from entresol.service.status import CallFailedError
from entresol.transport.caller import Answer, Caller, Metadata


@click.command("call")
@click.argument("method")
@click.argument("fields", nargs=-1)
@click.option("--address", default="127.0.0.1:9000", show_default=True, help="host:port of the server.")
@click.option(
    "--session", default="", help="Token of an earlier reply (--json shows it): read nothing older."
)
@click.option("--consistency", default="", help="eventual, bounded, session or strong.")
@click.option("--read-mask", default="", help="Fields to return, separated by commas.")
@metadata_option
@click.option("--timeout", "timeout_s", default=10.0, show_default=True, help="Seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    method: str,
    fields: tuple[str, ...],
    address: str,
    session: str,
    consistency: str,
    read_mask: str,
    metadata: Metadata,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Call METHOD (package.Service/Method) with FIELDS (path=value), and say who answered and how long it took.

    --json prints the session token, too, and how old the reply may be when that is more than its resource allows.

    entresol call stories.v1.StoryService/GetStory name=stories/10000042
    """
    options = {SESSION_KEY: session, CONSISTENCY_KEY: consistency, READ_MASK_KEY: read_mask}
    sent = {**metadata, **{key: value for key, value in options.items() if value}}
    with Caller(address, timeout_s=timeout_s) as caller:
        try:
            request = caller.request(caller.method(method), fields)
            answer = caller.call(method, request, sent)
        except CallFailedError as error:
            raise click.ClickException(_failure(error)) from error
        _print(answer, as_json)  # which may ask the server what an Any holds


def _failure(error: CallFailedError) -> str:
    """Return the status as text, with every violation on a line of its own."""
    lines = [f"{error.code.name}: {error.status.message}"]
    for detail in error.status.details:
        bad = BadRequest()
        if detail.Unpack(bad) and len(bad.field_violations) > 1:
            lines += [f"  {one.field}: {one.description}" for one in bad.field_violations]
    return "\n".join(lines)


class _Types:
    """The messages that an Any may hold: those that the server's reflection knows, and the details of errors."""

    def __init__(self, answer: Answer) -> None:
        self._pool: Any = answer.reply.DESCRIPTOR.file.pool

    def FindMessageTypeByName(self, name: str) -> Any:  # noqa: N802 - as a DescriptorPool has it
        try:
            return self._pool.FindMessageTypeByName(name)
        except KeyError:
            return descriptor_pool.Default().FindMessageTypeByName(name)


def _types(answer: Answer) -> Any:
    return _Types(answer)


def _print(answer: Answer, as_json: bool) -> None:
    answered_by, staleness = (answer.trailing.get(key, "") for key in (ANSWERED_BY_KEY, STALENESS_KEY))
    duration_ms = round(answer.duration_s * 1000, 2)
    if as_json:
        reply = MessageToDict(answer.reply, preserving_proto_field_name=True, descriptor_pool=_types(answer))
        session = answer.trailing.get(SESSION_KEY, "")
        facts = {"reply": reply, "answered_by": answered_by, "duration_ms": duration_ms, "session": session}
        if staleness:
            facts["staleness_s"] = float(staleness)
        click.echo(json.dumps(facts))
        return
    click.echo(MessageToJson(answer.reply, preserving_proto_field_name=True, descriptor_pool=_types(answer)))
    aged = f", perhaps {staleness} s old" if staleness else ""
    click.echo(f"answered by {answered_by or 'the server'} in {duration_ms} ms{aged}", err=True)
