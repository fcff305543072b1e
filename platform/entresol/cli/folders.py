"""Where migrations are: the platform's own, then one folder for each set of tables below `settings.migrations`."""

from __future__ import annotations

from pathlib import Path

from entresol.config import Settings
from entresol.errors import ConfigurationError

_PACKAGE = Path(__file__).resolve().parents[1]
SYSTEM = "system"


def system_folder() -> Path:
    """Return the folder of the platform's own migrations: of a checkout, or what the wheel installed."""
    for root in (_PACKAGE / "migrations", _PACKAGE.parents[1] / "migrations"):
        if (root / SYSTEM).is_dir():
            return root / SYSTEM
    raise ConfigurationError("the platform's own migrations are missing from the installation of entresol")


def migration_folders(settings: Settings) -> list[Path]:
    """Return the folders in the order they are applied; `settings.migrations` may be missing or empty."""
    root = Path(settings.migrations)
    own = system_folder()
    if not root.is_dir():
        return [own]
    return [own, *sorted(path for path in root.iterdir() if path.is_dir() and path.name != SYSTEM)]
