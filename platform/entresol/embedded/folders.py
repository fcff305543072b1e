"""Where the servers keep data, logs and sockets, so that their account may enter and paths stay short."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from entresol.embedded.accounts import Account, may_enter, server_account
from entresol.errors import ConfigurationError

# The kernel allows 107 bytes (macOS 103), "/entresol-12345678/replica-99/.s.PGSQL.65535" among them.
_PLACE_SIZE_MAX = 59
_DATA_LINK = "servers"
# A parent that was killed leaves the lock to its guard, which needs a moment to end the servers.
LOCK_WAIT_S = 3.0
_MEMORY = "/dev/shm"  # noqa: S108 (mkdtemp makes the name)
_MEMORY_SIZE_MIN = 4 * 1024**3


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one set of servers.

    Attributes:
        data: one folder per server, and its log.
        run: sockets, and copies of programs; always temporary.
        lasting: whether the data outlive the servers.
        lock: an open file; whoever holds it owns `data`. -1 when the data are temporary.
        account: who owns all this, when it is not us.
    """

    data: Path
    run: Path
    lasting: bool
    lock: int
    account: Account | None

    def server(self, name: str) -> Path:
        """Return a server's data folder, made if need be."""
        return _make(self.data / name, self.account)

    def sockets(self, name: str) -> Path:
        """Return the folder of a server's socket, made if need be."""
        return _make(self.run / name, self.account)

    def log(self, name: str) -> Path:
        """Return the path of a server's log."""
        return self.data / f"{name}.log"

    def version(self, name: str) -> int | None:
        """Return the major version of the PostgreSQL that wrote a server's data, if it has data."""
        path = self.data / name / "PG_VERSION"
        return int(path.read_text()) if path.exists() else None

    @property
    def temporary(self) -> tuple[Path, ...]:
        """Return the folders that go when the servers end."""
        return (self.run,) if self.lasting else (self.run, self.data)

    def remove(self) -> None:
        """Remove what is temporary; for when there is no guard to do so."""
        for folder in self.temporary:
            shutil.rmtree(folder, ignore_errors=True)

    def release(self) -> None:
        """Let go of the lock; the guard holds it too, until its servers have ended."""
        if self.lasting:
            os.close(self.lock)


def open_folders(folder: Path | None, *, durable: bool = False) -> Folders:
    """Make the folders: below `folder`, which then keeps the data, or temporary ones, in memory unless `durable`.

    When `folder` is where the servers' account may not enter (root's home), it holds a link to the data.

    Raises:
        ConfigurationError: other servers use `folder`, or its data belong to another user.
    """
    if folder is None:
        account = server_account()
        memory = [] if durable else _memory()
        data = _temporary("entresol-data-", account, *memory, *_places())
        return Folders(data, _run_folder(account), lasting=False, lock=-1, account=account)
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    try:
        data = (folder / _DATA_LINK).resolve()
        account = server_account(data / "primary")
        if data.parent == folder.resolve() and not may_enter(account, folder):
            data = _relocate(folder, account)
        if not os.access(_make(data, account), os.R_OK | os.W_OK | os.X_OK):
            raise ConfigurationError(_foreign(folder))
        return Folders(data, _run_folder(account), lasting=True, lock=lock, account=account)
    except BaseException:
        os.close(lock)
        raise


def _lock(folder: Path) -> int:
    try:
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except PermissionError:
        raise ConfigurationError(_foreign(folder)) from None
    deadline = time.monotonic() + LOCK_WAIT_S
    while not _take(lock):
        if time.monotonic() > deadline:
            os.close(lock)
            raise ConfigurationError(f"other servers run in {folder}; stop them, or choose another folder")
        time.sleep(0.02)
    return lock


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _foreign(folder: Path) -> str:
    return f"{folder} belongs to another user; start as that user or as root, or remove it to begin anew"


def _relocate(folder: Path, account: Account | None) -> Path:
    """Make the data folder where the account may enter; the link to it is how a later start finds it."""
    link = folder / _DATA_LINK
    link.unlink(missing_ok=True)
    data = _temporary("entresol-data-", account, "/var/tmp", "/tmp")  # noqa: S108 (mkdtemp makes the name)
    link.symlink_to(data)
    return data


def _memory() -> list[str]:
    """Return the folder that is memory, if it has room: databases are some 300 files, and made faster there."""
    if not os.path.ismount(_MEMORY):
        return []
    room = os.statvfs(_MEMORY)
    return [_MEMORY] if room.f_bavail * room.f_frsize >= _MEMORY_SIZE_MIN else []


def _run_folder(account: Account | None) -> Path:
    return _temporary("entresol-", account, *_places())


def _places() -> tuple[str, str]:
    return tempfile.gettempdir(), "/tmp"  # noqa: S108 (mkdtemp makes the name)


def _temporary(prefix: str, account: Account | None, *places: str) -> Path:
    """Make a folder in the first place that the account may enter and whose path is short enough for sockets."""
    for place in places:
        if may_enter(account, Path(place)) and len(os.fsencode(place)) <= _PLACE_SIZE_MAX:
            return _make(Path(tempfile.mkdtemp(prefix=prefix, dir=place)), account)
    who = f"user {account.name}" if account else "this user"
    raise ConfigurationError(
        f"{who} may enter none of {', '.join(places)}; set TMPDIR to a folder it may enter"
    )


def _make(folder: Path, account: Account | None) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(folder, account.user, account.group)
    return folder
