"""Who runs the servers: PostgreSQL refuses to run as root, so root hands it to another account."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from entresol.errors import ConfigurationError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its group, by number."""

    name: str
    user: int
    group: int


def server_account(data: Path | None = None) -> Account | None:
    """Return the account for the servers, or None when it is the one that we run as.

    Root takes the owner of existing `data`, so that a folder keeps its owner, else the first of `_CANDIDATES`.

    Raises:
        ConfigurationError: root has no account to give the servers to.
    """
    if os.geteuid() != 0:
        return None
    if data is not None and data.exists() and data.stat().st_uid != 0:
        return Account(str(data.stat().st_uid), data.stat().st_uid, data.stat().st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is no user postgres or nobody to run it; "
        "run this command as a normal user, or add the user: useradd --system postgres"
    )


def may_enter(account: Account | None, path: Path) -> bool:
    """Say whether the account can reach `path` and, if it is a folder, enter it."""
    if account is None:
        return os.access(path, os.X_OK)
    resolved = path.resolve()
    return all(_may_execute(account, part.stat()) for part in (resolved, *resolved.parents))


def _may_execute(account: Account, status: os.stat_result) -> bool:
    if status.st_uid == account.user:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.group:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
