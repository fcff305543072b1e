"""The Lua of the protocol as values: the text, and the digest by which a server that has loaded it runs it."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, fields
from importlib import resources


@dataclass(frozen=True, slots=True)
class Script:
    """One script. Every connection loads all of them before its first command."""

    text: bytes
    digest: bytes

    @classmethod
    def of(cls, text: str) -> Script:
        """Return the script with this text."""
        data = text.encode()
        # SHA-1 is how the server names a script; it guards nothing.
        return cls(data, hashlib.sha1(data, usedforsecurity=False).hexdigest().encode())


@dataclass(frozen=True, slots=True)
class Scripts:
    """The scripts of the protocol. Tests pass others, with a rule taken out, to see what the rule is for."""

    put: Script
    fill: Script
    advance: Script
    release: Script
    fence: Script
    sweep: Script
    floor: Script

    @classmethod
    @functools.cache
    def load(cls) -> Scripts:
        """Return the scripts as shipped."""
        entry = _read("entry")
        return cls(*(Script.of(entry + _read(item.name)) for item in fields(cls)))

    def names(self) -> dict[object, str]:
        """Return what each script is called, by its digest."""
        return {getattr(self, item.name).digest: item.name for item in fields(self)}

    def loading(self) -> list[tuple[str | bytes, ...]]:
        """Return the commands that make a server know every script."""
        return [("SCRIPT", "LOAD", getattr(self, item.name).text) for item in fields(self)]


def _read(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
