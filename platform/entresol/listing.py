"""Every setting as people read it: what it means, and where the value that is in force came from."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import get_type_hints

from entresol.config import Settings, given, variable
from entresol.setting_values import convert


def described() -> str:
    """Return every setting as its variable, with its unit, its default and its meaning."""
    parts = []
    for item in dataclasses.fields(Settings):
        unit = "seconds, " if item.name.endswith("_s") else "bytes, " if "_bytes" in item.name else ""
        default = " ".join(item.default) if isinstance(item.default, tuple) else item.default
        meaning = textwrap.fill(item.metadata["meaning"], 100, initial_indent="  ", subsequent_indent="  ")
        parts.append(f"{variable(item.name)}  ({unit}default {default!r})\n{meaning}")
    return "\n".join(parts)


def origins(settings: Settings) -> dict[str, str]:
    """Return where each setting came from, as can be told now: its variable, a file, the command, or its default."""
    types, said = get_type_hints(Settings), given()
    found = {}
    for item in dataclasses.fields(Settings):
        name, value = item.name, getattr(settings, item.name)
        found[name] = "default" if value == item.default else "command"
        if name in said and convert(name, types[name], said[name][0]) == value:
            found[name] = said[name][1]
    return found
