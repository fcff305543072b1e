"""Metadata on a command line: the option of every command that calls servers as a client does."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from entresol.errors import InvalidArgumentError
from entresol.transport.caller import Metadata
from entresol.transport.wire import BINARY, binary_value

_NAME = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


def _as_mapping(_: click.Context, param: click.Parameter, texts: Sequence[str]) -> Metadata:
    metadata: dict[str, str | bytes] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.lower()  # as HTTP/2 has them: `Authorization` is `authorization`
        if not equals or not _NAME.fullmatch(name):
            wrong = f"{text!r}: write NAME=VALUE, the name of letters, digits, hyphens, dots and underscores"
            raise click.BadParameter(wrong, param=param)
        if name in metadata:
            raise click.BadParameter(f"{name} is there twice", param=param)
        metadata[name] = _value(name, value, param)
    return metadata


def _value(name: str, text: str, param: click.Parameter) -> str | bytes:
    if name.endswith(BINARY):
        try:
            return binary_value(name, text.encode())
        except InvalidArgumentError as error:
            wrong = f"{name}: {text!r} is not base64, as the values of names with {BINARY} at their end are"
            raise click.BadParameter(wrong, param=param) from error
    if not _VALUE.fullmatch(text):
        wrong = f"{name}: {text!r} is not printable ASCII; other values need a name with {BINARY} at its end"
        raise click.BadParameter(wrong, param=param)
    return text


metadata_option = click.option(
    "--metadata",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_as_mapping,
    help="Sent with every call; may be repeated. Of a name that ends with -bin the value is base64.",
)
