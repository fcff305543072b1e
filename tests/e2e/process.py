"""A command of the platform as a process of its own, what it says, and its admin port."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENTRESOL = str(Path(sys.executable).parent / "entresol")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


@dataclass
class Running:
    """A process; `said` and `logged` are the lines of its two outputs so far."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has said this, and return how."""
        until_s = time.monotonic() + PATIENCE_S
        is_over = False
        while not is_over:
            is_over = self.process.poll() is not None or time.monotonic() > until_s
            for line in [*self.said, *self.logged]:
                if found := re.search(pattern, line):
                    return found
            time.sleep(0.02)
        raise AssertionError((pattern, self.said, self.logged))

    @property
    def admin(self) -> str:
        return self.says(r"^admin on (\S+)")[1]

    @property
    def address(self) -> str:
        return self.says(r"^serving .*(?:services|workers) on (\S+)")[1]

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Return status and body of a page of the admin port."""
        request = urllib.request.Request(f"http://{self.admin}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 - of our own making
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except urllib.error.URLError as error:
            raise AssertionError((error, self.said, self.logged)) from error

    def lines(self, path: str) -> tuple[int, list[dict[str, Any]]]:
        """Return status and lines of a page that is made of them."""
        status, body = self.get(path)
        return status, [json.loads(line) for line in body.splitlines()]

    def until(self, path: str, status: int) -> list[dict[str, Any]]:
        """Wait until a page has this status, and return its lines."""
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            found, lines = self.lines(path)
            if found == status:
                return lines
            time.sleep(0.02)
        raise AssertionError((path, found, lines))

    def end(self, number: int = signal.SIGTERM, timeout_s: float = PATIENCE_S) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(timeout_s)


@contextmanager
def running(*words: str, **environment: str) -> Iterator[Running]:
    """Give a command that runs in this environment and has an admin port."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ENTRESOL_", "OTEL_"))}
    process = subprocess.Popen(
        [ENTRESOL, *words],
        env={**kept, "ENTRESOL_ADMIN_LISTEN": "127.0.0.1:0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    found = Running(process)
    readers = [
        threading.Thread(target=_read, args=(stream, lines), daemon=True)
        for stream, lines in ((process.stdout, found.said), (process.stderr, found.logged))
    ]
    for reader in readers:
        reader.start()
    try:
        yield found
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for reader in readers:
            reader.join()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def _read(stream: Any, lines: list[str]) -> None:
    lines.extend(line.rstrip("\n") for line in iter(stream.readline, ""))
