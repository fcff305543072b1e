"""A cluster that stores, and helm beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chart.api import Server
from tests.chart.cluster import Cluster
from tests.chart.kubernetes import Kubernetes


@pytest.fixture(params=[3, 4], ids=["helm-3", "helm-4"])
def major(request: pytest.FixtureRequest) -> int:
    found: int = request.param
    return found


@pytest.fixture
def cluster(major: int, tmp_path: Path) -> Iterator[Cluster]:
    kubernetes = Kubernetes()
    kubernetes.create(("v1", "namespaces", "", "shop"), {"metadata": {"name": "shop"}})
    kubernetes.written.clear()
    with Server(kubernetes) as server:
        server.write_kubeconfig(tmp_path / "kubeconfig")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Cluster(kubernetes, major, tmp_path)
        server.shutdown()
        thread.join()
