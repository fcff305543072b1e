"""A release of the chart in a cluster that stores: the commands of helm, and what they leave."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chart.kubernetes import Kubernetes
from tests.helm_binary import find_helm
from tests.unit.helm.chart import CHART, NAMESPACE

TIMEOUT_S = 60
RELEASE = "shop"
# A URL in the values: with it the chart has Secrets of its own, and the hook a copy of one.
LEAST = {"database.write.url": "postgresql://entresol:word@postgres/entresol", "cache.url": "redis://valkey"}


@dataclass(frozen=True)
class Cluster:
    """A cluster, and one helm that speaks to it."""

    kubernetes: Kubernetes
    major: int
    folder: Path

    def install(self, **values: Any) -> subprocess.CompletedProcess[str]:
        return self.helm("install", RELEASE, str(CHART), "--wait", *flags(values))

    def upgrade(self, **values: Any) -> subprocess.CompletedProcess[str]:
        return self.helm("upgrade", RELEASE, str(CHART), "--wait", *flags(values))

    def helm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run helm; what was written before is forgotten."""
        self.kubernetes.written.clear()
        homes = {f"HELM_{name}_HOME": str(self.folder / name) for name in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            (str(find_helm(self.major)), *arguments, "--namespace", NAMESPACE, "--timeout", f"{TIMEOUT_S}s"),
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT_S,
            check=False,
            env={**os.environ, **homes, "KUBECONFIG": str(self.folder / "kubeconfig")},
        )

    def kinds_written(self) -> list[str]:
        """Return what helm wrote in its order, without its own records, each as `verb Kind/name`."""
        return [line for line in self.kubernetes.written if "sh.helm." not in line]


def flags(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the least values with these over them, as helm is told; `__` stands for a dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    chosen = {**LEAST, **named}
    return tuple(
        part for path, value in chosen.items() for part in ("--set-json", f"{path}={json.dumps(value)}")
    )
