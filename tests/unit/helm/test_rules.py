"""The rules of the chart, over every values file of `ci/`, and that each of them can find something."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.helm.chart import (
    CHART,
    VALUES,
    Object,
    helm,
    named,
    render,
    rendered,
    template,
    values_of,
)
from tests.unit.helm.rules import RULES, findings

LONGEST_RELEASE = "a-release-whose-name-is-as-long-as-helm-lets-it-be-ok"  # 53
every_values_file = pytest.mark.parametrize("values", VALUES)


@every_values_file
def test_helm_lints_it_strictly(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), "-f", str(CHART / "ci" / values))
    assert done.returncode == 0, done.stdout + done.stderr


@every_values_file
def test_rendering_twice_gives_the_same_text(values: str) -> None:
    assert template(values).stdout == template(values).stdout


@every_values_file
def test_what_is_rendered_breaks_no_rule(values: str) -> None:
    assert findings(rendered(values), values_of(values)) == []


@every_values_file
@pytest.mark.parametrize("release", ["entresol", LONGEST_RELEASE])
def test_it_breaks_none_under_other_names(values: str, release: str) -> None:
    assert findings(render(values, release=release), values_of(values)) == []


def test_long_releases_that_begin_alike_have_different_names() -> None:
    first, second = (
        render("default-values.yaml", release=f"{LONGEST_RELEASE[:50]}{end}") for end in ("x-1", "x-2")
    )
    names = [{item["metadata"]["name"] for item in objects} for objects in (first, second)]
    assert names[0].isdisjoint(names[1])


def _server(objects: list[Object]) -> Any:
    return named(objects, "Deployment", "-server")["spec"]


def _pod(objects: list[Object]) -> Any:
    return _server(objects)["template"]["spec"]


def _box(objects: list[Object]) -> Any:
    return _pod(objects)["containers"][0]


def _again(objects: list[Object]) -> None:
    objects.append(objects[0])


def _lead_elsewhere(objects: list[Object]) -> None:
    named(objects, "Deployment", "-server")["metadata"]["namespace"] = "other"


def _name_twice(objects: list[Object]) -> None:
    _box(objects)["env"].append(_box(objects)["env"][0])


def _privilege(objects: list[Object]) -> None:
    _pod(objects)["initContainers"][0]["securityContext"]["privileged"] = True


def _unpin(objects: list[Object]) -> None:
    _box(objects)["image"] = "entresol"


def _mount_nothing(objects: list[Object]) -> None:
    _pod(objects)["volumes"].append({"name": "forgotten", "emptyDir": {}})


def _probe_by_name(objects: list[Object]) -> None:
    _box(objects)["livenessProbe"]["grpc"]["port"] = "grpc"


def _take_a_port(objects: list[Object]) -> None:
    _box(objects)["ports"].append({"containerPort": 9002})


def _fix_replicas(objects: list[Object]) -> None:
    del _server(objects)["replicas"]


def _select_by_version(objects: list[Object]) -> None:
    _server(objects)["selector"]["matchLabels"]["app.kubernetes.io/version"] = "0.1.0"


def _select_nobody(objects: list[Object]) -> None:
    named(objects, "Service", "-headless")["spec"]["selector"]["app.kubernetes.io/component"] = "web"


def _forbid_eviction(objects: list[Object]) -> None:
    named(objects, "PodDisruptionBudget", "-server")["spec"]["maxUnavailable"] = 0


def _lose_the_secret(objects: list[Object]) -> None:
    objects.remove(named(objects, "Secret", "-entresol"))


def _keep_the_hook(objects: list[Object]) -> None:
    named(objects, "Job", "-migrate")["metadata"]["annotations"]["helm.sh/hook-delete-policy"] = "never"


def _hurry(objects: list[Object]) -> None:
    _pod(objects)["terminationGracePeriodSeconds"] = 20


def _forget_the_checksum(objects: list[Object]) -> None:
    del _server(objects)["template"]["metadata"]["annotations"]["checksum/haproxy"]


def _publish_the_port(objects: list[Object]) -> None:
    data = named(objects, "ConfigMap", "-haproxy")["data"]
    data["everything.cfg"] = data["everything.cfg"].replace("127.0.0.1:9002", "0.0.0.0:9002")


def _close_dns(objects: list[Object]) -> None:
    del named(objects, "NetworkPolicy", "-server")["spec"]["egress"][0]


BROKEN = {
    "names fit": _again,
    "objects are in": _lead_elsewhere,
    "no variable": _name_twice,
    "pods have no more": _privilege,
    "containers are pinned": _unpin,
    "every mount": _mount_nothing,
    "what lasts": _probe_by_name,
    "of two listeners": _take_a_port,
    "replicas are left": _fix_replicas,
    "selectors are": _select_by_version,
    "Services and budgets": _select_nobody,
    "a budget": _forbid_eviction,
    "every reference": _lose_the_secret,
    "hooks go": _keep_the_hook,
    "who stops": _hurry,
    "pods start again": _forget_the_checksum,
    "HAProxy is": _publish_the_port,
    "a network policy": _close_dns,
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_finds_what_breaks_it(rule: str) -> None:
    broken: Callable[[list[Object]], None] = next(
        change for start, change in BROKEN.items() if rule[4:].startswith(start)
    )
    objects = copy.deepcopy(list(rendered("patroni-values.yaml")))
    broken(objects)
    assert rule in {found.partition(": ")[0] for found in findings(objects, values_of("patroni-values.yaml"))}
