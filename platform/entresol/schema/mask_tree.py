"""Field masks as trees (AIP-161): one branch a field or map key, a leaf for everything from there down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

EVERY = "*"


@dataclass(frozen=True, slots=True)
class Mask:
    """What is read or written of a message, map or list. `parts` None: all of it.

    Keys are field names; below a map they are its keys as text, and below maps and lists `*` stands for
    every element.
    """

    parts: Mapping[str, Mask] | None = None

    @property
    def whole(self) -> bool:
        """Whether it covers everything from here down."""
        return self.parts is None

    def at(self, name: str) -> Mask | None:
        """Return the mask of one field or map key; None when it is not covered at all."""
        if self.parts is None:
            return self
        every, own = self.parts.get(EVERY), self.parts.get(name)
        return union(every, own) if every is not None and own is not None else own or every


WHOLE = Mask()
NOTHING = Mask({})


def union(one: Mask, other: Mask) -> Mask:
    """Return the mask that covers what either covers."""
    if one.parts is None or other.parts is None:
        return WHOLE
    parts = dict(one.parts)
    for name, part in other.parts.items():
        parts[name] = union(parts[name], part) if name in parts else part
    return Mask(parts)


def branch(names: tuple[str, ...]) -> Mask:
    """Return the mask that covers only what stands at the end of `names`."""
    mask = WHOLE
    for name in reversed(names):
        mask = Mask({name: mask})
    return mask
