"""Resource names as values (AIP-122, AIP-4231); wherever one is accepted, text is too."""

from __future__ import annotations

import dataclasses
import keyword
import re
from functools import lru_cache
from typing import Any, ClassVar, Self


class Name:
    """A resource name; `str(name)` is what is sent. Subclasses are frozen dataclasses of their variables."""

    __slots__ = ()
    PATTERN: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, field.name)
            if not value or "/" in value:
                raise ValueError(f"{field.name}: {value!r} cannot be a part of {self.PATTERN}")

    def __str__(self) -> str:
        return "/".join(
            getattr(self, attribute(part)) if part.startswith("{") else part
            for part in self.PATTERN.split("/")
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the name that `text` is.

        Raises:
            ValueError: it is none of this pattern.
        """
        match = _regex(cls.PATTERN).fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a name of the form {cls.PATTERN}")
        values: dict[str, Any] = match.groupdict()
        return cls(**values)


def attribute(part: str) -> str:
    """Return the attribute of a pattern's variable: `story` for `{story}`, `class_` for `{class}`."""
    variable = part[1:-1]
    return f"{variable}_" if keyword.iskeyword(variable) else variable


@lru_cache
def _regex(pattern: str) -> re.Pattern[str]:
    parts = (
        f"(?P<{attribute(part)}>[^/]+)" if part.startswith("{") else re.escape(part)
        for part in pattern.split("/")
    )
    return re.compile("/".join(parts))
