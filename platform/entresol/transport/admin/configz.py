"""The settings that are in force, each with where it came from; none shows a secret."""

from __future__ import annotations

import dataclasses

from entresol.config import Settings
from entresol.life import Facts
from entresol.listing import origins
from entresol.redaction import shown


def configuration(settings: Settings) -> Facts:
    """Return every setting by its name: its value, what it means, and where it came from."""
    from_where = origins(settings)
    return {
        item.name: {
            "value": shown(getattr(settings, item.name), item.name),
            "from": from_where[item.name],
            "meaning": item.metadata["meaning"],
        }
        for item in dataclasses.fields(settings)
    }
