"""Rules that hold for whatever the chart renders, checked over every values file of `ci/`."""

from __future__ import annotations

import re

import pytest
import yaml
from tests.unit.helm.chart import (
    CHART,
    NAMESPACE,
    VALUES,
    Object,
    helm,
    hook,
    of_kind,
    pods,
    render,
    rendered,
    template,
    weight,
)

SELECTOR = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
LONGEST_RELEASE = "a-release-whose-name-is-as-long-as-helm-lets-it-be-ok"  # 53
every_values_file = pytest.mark.parametrize("values", VALUES)


def references(spec: Object) -> set[tuple[str, str]]:
    """Return every (kind, name) that a pod needs."""
    found = {("ServiceAccount", spec["serviceAccountName"])} if "serviceAccountName" in spec else set()
    for box in spec["containers"]:
        for entry in box.get("env", []):
            if "secretKeyRef" in entry.get("valueFrom", {}):
                found.add(("Secret", entry["valueFrom"]["secretKeyRef"]["name"]))
        found |= {("ConfigMap", entry["configMapRef"]["name"]) for entry in box.get("envFrom", [])}
    return found


def given_by_the_user(values: str) -> set[tuple[str, str]]:
    """Return the objects that a values file says exist already."""
    text = (CHART / "ci" / values).read_text()
    account = yaml.safe_load(text).get("serviceAccount", {})
    accounts = {("ServiceAccount", account["name"])} if account.get("create") is False else set()
    return accounts | {("Secret", name) for name in re.findall(r"existingSecret: (\S+)", text)}


@every_values_file
def test_helm_lints_it_strictly(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), "-f", str(CHART / "ci" / values))
    assert done.returncode == 0, done.stdout + done.stderr


@every_values_file
def test_rendering_twice_gives_the_same_text(values: str) -> None:
    assert template(values).stdout == template(values).stdout


@every_values_file
def test_objects_are_in_the_release_s_namespace_and_carry_the_standard_labels(values: str) -> None:
    for item in rendered(values):
        if item["metadata"]["name"].endswith("-extra"):
            continue  # the user's own manifest
        assert item["metadata"]["namespace"] == NAMESPACE
        labels = item["metadata"]["labels"]
        assert labels.keys() == SELECTOR | {
            "helm.sh/chart",
            "app.kubernetes.io/version",
            "app.kubernetes.io/managed-by",
        }


@every_values_file
@pytest.mark.parametrize("release", ["shop", "entresol", LONGEST_RELEASE])
def test_names_fit_and_never_meet(values: str, release: str) -> None:
    objects = render(values, release=release)
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(names) == len(set(names))
    assert all(len(name) <= 63 for _, name in names)


def test_long_releases_that_begin_alike_have_different_names() -> None:
    first, second = (
        render("default-values.yaml", release=f"{LONGEST_RELEASE[:50]}{end}") for end in ("x-1", "x-2")
    )
    names = [{item["metadata"]["name"] for item in objects} for objects in (first, second)]
    assert names[0].isdisjoint(names[1])


@every_values_file
def test_pods_have_no_more_rights_than_they_need(values: str) -> None:
    for item, _, spec in pods(rendered(values)):
        assert spec["automountServiceAccountToken"] is False, item["metadata"]["name"]
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        for box in spec["containers"]:
            assert box["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "privileged": False,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
    for account in of_kind(rendered(values), "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


@every_values_file
def test_containers_are_pinned_sized_and_have_room_for_files(values: str) -> None:
    for _, _, spec in pods(rendered(values)):
        for box in spec["containers"]:
            assert re.search(r"@sha256:[0-9a-f]{64}$|:\d[\w.-]*$", box["image"]), box["image"]
            assert {"cpu", "memory"} <= box["resources"]["requests"].keys()
            assert "memory" in box["resources"]["limits"]
            assert "tmp" in [mount["name"] for mount in box["volumeMounts"]]
            names = [entry["name"] for entry in box.get("env", [])]
            assert len(names) == len(set(names))


@every_values_file
def test_selectors_are_the_three_frozen_labels_and_match_their_own_pods(values: str) -> None:
    for item in of_kind(rendered(values), "Deployment"):
        selector = item["spec"]["selector"]["matchLabels"]
        assert selector.keys() == SELECTOR
        assert selector.items() <= item["spec"]["template"]["metadata"]["labels"].items()


@every_values_file
def test_services_and_budgets_select_exactly_one_workload(values: str) -> None:
    objects = rendered(values)
    selectors = [item["spec"]["selector"] for item in of_kind(objects, "Service")]
    selectors += [item["spec"]["selector"]["matchLabels"] for item in of_kind(objects, "PodDisruptionBudget")]
    for selector in selectors:
        chosen = [meta for _, meta, _ in pods(objects) if selector.items() <= meta["labels"].items()]
        assert len(chosen) == 1


@every_values_file
def test_every_reference_resolves_and_hooks_lean_on_earlier_hooks_only(values: str) -> None:
    objects = rendered(values)
    made = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    outside = given_by_the_user(values)
    for item, _, spec in pods(objects):
        for reference in references(spec) - outside:
            needed = made[reference]
            if hook(item).startswith("pre-"):
                assert hook(needed) == hook(item), f"{reference} is not there before the first install"
                assert weight(needed) < weight(item)
            else:
                assert not hook(needed), f"{reference} goes away with its hook"


@every_values_file
def test_nothing_that_stays_is_left_behind_by_a_hook(values: str) -> None:
    for item in rendered(values):
        if hook(item):
            policy = item["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
            assert policy == "before-hook-creation,hook-succeeded"


@every_values_file
def test_every_network_policy_lets_its_pods_reach_what_they_need(values: str) -> None:
    objects = rendered(values)
    policies = {item["metadata"]["name"]: item for item in of_kind(objects, "NetworkPolicy")}
    for item, meta, _ in pods(objects):
        component = meta["labels"]["app.kubernetes.io/component"]
        if not policies or component == "test":
            continue
        (policy,) = [
            found
            for found in policies.values()
            if found["spec"]["podSelector"]["matchLabels"].items() <= meta["labels"].items()
        ]
        assert hook(policy) == hook(item)
        allowed = {
            (port["protocol"], port["port"]) for rule in policy["spec"]["egress"] for port in rule["ports"]
        }
        assert {("UDP", 53), ("TCP", 53), ("TCP", 5432)} <= allowed
        needs = {"migrate": (), "relay-jobs": (5672,), "publish": (5672,)}.get(component, (6379,))
        if component.startswith("worker-") and "rabbitmq:" in (CHART / "ci" / values).read_text():
            needs = (6379, 5672)
        assert {("TCP", port) for port in needs} <= allowed
        assert ("TCP", 5672) not in allowed or 5672 in needs
        if "otel:" in (CHART / "ci" / values).read_text():
            assert {("TCP", 4317), ("TCP", 4318)} <= allowed
