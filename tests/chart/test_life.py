"""The life of a release under helm 3 and 4, from its first install to what it leaves behind."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from tests.chart.cluster import LEAST, Cluster
from tests.unit.helm.chart import CHART, Object, render

pytestmark = pytest.mark.timeout(300)
HOOKED = ("Job/shop-entresol-migrate", "Secret/shop-entresol-migrate", "ServiceAccount/shop-entresol-migrate")


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stored_as_rendered(cluster: Cluster, **values: Any) -> None:
    """Check that the cluster has what the chart says, and no object more."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    # The least values of `render` come from a Secret of the user's; these do not.
    objects = render(settings={"database.write.existingSecret": "", **LEAST, **named})
    lasting = [item for item in objects if "helm.sh/hook" not in item["metadata"].get("annotations", {})]
    for item in lasting:
        found = cluster.kubernetes.get(item["kind"], item["metadata"]["name"])
        assert within(item.get("spec"), found.get("spec")), item["metadata"]["name"]
        assert item.get("data") == found.get("data")
    wanted = {f"{item['kind']}/{item['metadata']['name']}" for item in lasting}
    assert cluster.kubernetes.names() - {"Namespace/shop"} == wanted


def within(wanted: Any, found: Any) -> bool:
    """Tell whether `found` is `wanted` with nothing but a server's own defaults beside it."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and within(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(within, wanted, found))
    return bool(wanted == found)


def deployments(cluster: Cluster) -> list[str]:
    return [line for line in cluster.kinds_written() if "Deployment/" in line]


def test_an_install_migrates_before_anything_else_and_leaves_no_hook(cluster: Cluster) -> None:
    succeeded(cluster.install())
    created = [line.split()[1] for line in cluster.kinds_written() if line.startswith("create")]
    assert set(created[:2]) == set(HOOKED[1:])
    assert created[2] == HOOKED[0]
    assert created.index("Deployment/shop-entresol-server") > created.index("ConfigMap/shop-entresol")
    stored_as_rendered(cluster)


def test_an_upgrade_changes_what_has_changed_and_nothing_else(cluster: Cluster) -> None:
    succeeded(cluster.install())
    changes = {"server__replicas": 4, "server__extraEnv": [{"name": "PYTHONMALLOC", "value": "malloc"}]}
    succeeded(cluster.upgrade(**changes))
    stored_as_rendered(cluster, **changes)
    succeeded(cluster.upgrade(relay__enabled=False, config__drain_s=12))
    stored_as_rendered(cluster, relay__enabled=False, config__drain_s=12)


def test_a_migration_that_fails_blocks_the_upgrade_before_any_deployment(cluster: Cluster) -> None:
    succeeded(cluster.install())
    cluster.kubernetes.jobs_fail = True
    failed = cluster.upgrade(global__image__tag="9.9.9")
    assert failed.returncode != 0
    assert "pre-upgrade" in failed.stderr
    assert deployments(cluster) == []
    server: Object = cluster.kubernetes.get("Deployment", "shop-entresol-server")
    assert server["spec"]["template"]["spec"]["containers"][0]["image"] == "entresol:0.1.0"
    cluster.kubernetes.jobs_fail = False
    succeeded(cluster.upgrade(global__image__tag="9.9.9"))
    stored_as_rendered(cluster, global__image__tag="9.9.9")


def test_a_rollback_brings_back_what_was_and_migrates_nothing(cluster: Cluster) -> None:
    succeeded(cluster.install())
    succeeded(cluster.upgrade(global__image__tag="9.9.9", server__replicas=5))
    succeeded(cluster.helm("rollback", "shop", "1", "--wait"))
    assert not [line for line in cluster.kinds_written() if "Job/" in line]
    stored_as_rendered(cluster)


def test_helm_test_runs_a_pod_that_goes_when_it_has_succeeded(cluster: Cluster) -> None:
    succeeded(cluster.install())
    assert "Succeeded" in succeeded(cluster.helm("test", "shop"))
    assert "create Pod/shop-entresol-test-health" in cluster.kinds_written()
    stored_as_rendered(cluster)


@pytest.mark.parametrize("migrated", [True, False], ids=["migrated", "migration-failed"])
def test_an_uninstall_leaves_what_the_readme_says(cluster: Cluster, migrated: bool) -> None:
    succeeded(cluster.install())
    if not migrated:
        cluster.kubernetes.jobs_fail = True
        assert cluster.upgrade().returncode != 0
    succeeded(cluster.helm("uninstall", "shop", "--wait"))
    left = cluster.kubernetes.names() - {"Namespace/shop"}
    assert left == (set() if migrated else {HOOKED[0]})
    assert "kubectl delete job RELEASE-migrate" in (CHART.parent / "README.md").read_text()


def test_an_ordinary_job_migrates_at_every_change_of_the_image_and_is_never_changed(cluster: Cluster) -> None:
    job = {"migrations__mode": "job"}
    succeeded(cluster.install(**job))
    names = set()
    for tag in ("0.2.0", "0.3.0"):
        succeeded(cluster.upgrade(**job, global__image__tag=tag))
        stored_as_rendered(cluster, **job, global__image__tag=tag)
        names |= {name for name in cluster.kubernetes.names() if name.startswith("Job/")}
    assert len(names) == 2
    succeeded(cluster.upgrade(**job, global__image__tag="0.3.0", server__replicas=3))
    assert {name for name in cluster.kubernetes.names() if name.startswith("Job/")} <= names


def test_haproxy_is_there_before_the_migration_that_goes_through_it(cluster: Cluster) -> None:
    values = {"haproxy__enabled": True, "haproxy__postgres": {"servers": ["pg-0:5432", "pg-1:5432"]}}
    succeeded(cluster.install(**values))
    written = cluster.kinds_written()
    order = [written.index(f"create {name}") for name in ("ConfigMap/shop-entresol-migrate", HOOKED[0])]
    assert order == sorted(order)
    stored_as_rendered(cluster, **values)
