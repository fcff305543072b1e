"""A Spark Connect server of a test's own, on loopback; `python -m tests.spark.server` tells what it lacks here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from entresol.embedded.postgres import free_port

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-spark" / "server" / "pyspark"
CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
JAVA_MIN = 17
START_S = 120.0


def missing() -> str:
    """Return what a server lacks here; "" where there is all."""
    if not (java := shutil.which("java")):
        return f"there is no Java, and Spark needs {JAVA_MIN} or newer"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA_MIN:
        return f"Java is too old, Spark needs {JAVA_MIN} or newer: {told.splitlines()[0]}"
    return ""


@dataclass
class Spark:
    """The server and its executors, which are threads of it, and Python processes below it."""

    folder: Path
    python: str = sys.executable
    tries: int = 4  # of a task
    port: int = field(default_factory=free_port)
    pages: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Return what clients are told."""
        return f"sc://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """Return the file that the server writes to."""
        return self.folder / "spark.log"

    @property
    def words(self) -> list[str]:
        """Return the command that starts it. It does two tasks at once."""
        settings = {
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(self.port),
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.port": str(self.pages),
            "spark.local.dir": str(self.folder / "local"),
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
        }
        words = [str(HOME / "bin" / "spark-submit"), "--class", CLASS, "--master", f"local[2,{self.tries}]"]
        for name, value in settings.items():
            words += ["--conf", f"{name}={value}"]
        return [*words, "spark-internal"]

    @property
    def environment(self) -> dict[str, str]:
        """Return what the command is told beside."""
        return {"SPARK_HOME": str(HOME), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": self.python}

    def start(self) -> None:
        """Return once it answers."""
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words, env=os.environ | self.environment, stdout=log, stderr=log, cwd=self.folder
            )
        end_s = time.monotonic() + START_S
        while b"server started at" not in self.log.read_bytes()[before:]:
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < end_s, "Spark has not started in time"
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, and what it has started."""
        if self.process is not None:
            for pid in [*self.tasks(), *children(self.process.pid)]:
                os.kill(pid, 9)
            self.process.kill()
            self.process.wait()

    def tasks(self) -> list[int]:
        """Return the Python processes that do tasks."""
        assert self.process is not None
        return [task for daemon in children(self.process.pid) for task in children(daemon)]

    def running(self) -> int:
        """Return how many jobs run, as the server's own pages tell."""
        url = f"http://127.0.0.1:{self.pages}/api/v1/applications"
        application = _fetched(url)[0]["id"]
        return len(_fetched(f"{url}/{application}/jobs?status=running"))


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(one) for task in tasks.iterdir() for one in (task / "children").read_text().split()]


def _fetched(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - loopback
        return json.load(reply)


if __name__ == "__main__":
    if lack := missing():
        sys.exit(f"\n*** SKIPPED, nothing of Spark is tested here: {lack} ***\n")
