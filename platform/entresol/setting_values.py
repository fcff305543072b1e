"""Values of settings from what people write: text of the environment, or what TOML has."""

from __future__ import annotations

from typing import Any

from entresol.errors import ConfigurationError

_WORDS = dict.fromkeys(("true", "1", "yes"), True) | dict.fromkeys(("false", "0", "no", ""), False)


def convert(name: str, kind: Any, value: Any) -> Any:
    """Return `value` as the setting's type; text comes from the environment, the rest from TOML."""
    try:
        if kind is bool:
            return _WORDS[value.lower()] if isinstance(value, str) else bool(value)
        if kind in (int, float):
            return kind(value)
        if kind is str:
            return str(value)
        return tuple(value.split()) if isinstance(value, str) else tuple(str(item) for item in value)
    except (ValueError, KeyError, TypeError) as error:
        wanted = getattr(kind, "__name__", "list of text")
        raise ConfigurationError(
            f"setting {name}: {value!r} is not a {wanted}", metadata={"setting": name}
        ) from error
