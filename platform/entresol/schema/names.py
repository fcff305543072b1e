"""Resource names (AIP-122): patterns such as `stories/{story}/votes/{vote}`, parsed and built back."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

WILDCARD = "-"
ID_FORMAT = "1 to 63 characters: lower-case letters, digits and hyphens, first a letter, last no hyphen"
_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
# What an existing segment may be: importers and the server make wider ids than what users may choose.
_SEGMENT = re.compile(r"[^/\x00-\x20\x7f]{1,255}")


def is_user_id(text: str) -> bool:
    """Tell whether a caller may choose `text` as an id (AIP-122, AIP-133)."""
    return _ID.fullmatch(text) is not None


def is_segment(text: str) -> bool:
    """Tell whether `text` can be a segment of a stored name: visible, without `/`, in Unicode's form NFC."""
    return _SEGMENT.fullmatch(text) is not None and unicodedata.is_normalized("NFC", text)


@dataclass(frozen=True)
class Pattern:
    """A name pattern, split at its slashes: `("stories", "{story}")`."""

    text: str

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """Return the segments, variables still in braces."""
        return tuple(self.text.split("/"))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Return the variables' names, in order."""
        return tuple(segment[1:-1] for segment in self.segments if segment.startswith("{"))

    @property
    def singleton(self) -> bool:
        """Whether the last segment is fixed (AIP-156)."""
        return not self.segments[-1].startswith("{")

    @cached_property
    def parent_segments(self) -> tuple[str, ...]:
        """Return the segments of the parent's pattern; empty at the top level."""
        return self.segments[:-1] if self.singleton else self.segments[:-2]

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        part = (f"(?P<{s[1:-1]}>[^/]+)" if s.startswith("{") else re.escape(s) for s in self.segments)
        return re.compile("/".join(part))

    def parse(self, name: str) -> Mapping[str, str] | None:
        """Return the value of each variable, or None when `name` does not have this pattern."""
        match = self._regex.fullmatch(name)
        if match is None or not all(is_segment(value) for value in match.groups()):
            return None
        return match.groupdict()

    def format(self, **values: str) -> str:
        """Return the name with these values; KeyError when one is missing."""
        return "/".join(values[s[1:-1]] if s.startswith("{") else s for s in self.segments)

    def child_of(self, parent: str, resource_id: str) -> str:
        """Return the name of the record with this id below `parent` ("" at the top level)."""
        collection = self.segments[-1] if self.singleton else f"{self.segments[-2]}/{resource_id}"
        return f"{parent}/{collection}" if parent else collection


def parent_of(name: str, pattern: Pattern) -> str:
    """Return the parent's part of a name of this pattern; "" at the top level."""
    parts = name.split("/")
    return "/".join(parts[: len(pattern.parent_segments)])
