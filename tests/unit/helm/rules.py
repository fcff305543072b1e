"""Rules that hold for whatever the chart renders, each a function from (objects, values) to what breaks it.

`values` are the chart's defaults with those of the release over them, as helm sees them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.unit.helm.chart import NAMESPACE, Object, containers, hook, of_kind, pods, weight

Values = Mapping[str, Any]
Rule = Callable[[Sequence[Object], Values], Iterator[str]]

SELECTOR = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
LABELS = SELECTOR | {"helm.sh/chart", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"}
COMPONENT = "app.kubernetes.io/component"
# Objects that are the user's own words.
EXTRA = "-extra"
NAME_MAX = 63
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$|:\d[\w.-]*$")
RIGHTS = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "privileged": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}
DELETED = "before-hook-creation,hook-succeeded"
BINDS = {f"127.0.0.1:{port}" for port in (9000, 9001, 9002)} | {":8404", "abns@entresol-once"}
RELAYS = ("relay", "publish")
SPARE_S = 5
HANDED_BACK_S = 15
RULES: dict[str, Rule] = {}


def rule(sentence: str) -> Callable[[Rule], Rule]:
    """Keep a rule under its number and sentence."""

    def keep(function: Rule) -> Rule:
        RULES[f"R{len(RULES) + 1:02} {sentence}"] = function
        return function

    return keep


def findings(objects: Sequence[Object], values: Values) -> list[str]:
    """Return what breaks any rule, each with the rule's number and sentence."""
    return [f"{name}: {found}" for name, check in RULES.items() for found in check(objects, values)]


def title(item: Object) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


def component(labels: Mapping[str, str]) -> str:
    return labels.get(COMPONENT, "")


def given_by_the_user(values: Any) -> set[tuple[str, str]]:
    """Return the objects that the values say exist already."""
    found: set[tuple[str, str]] = set()
    for key, value in values.items():
        if key == "existingSecret" and value:
            found.add(("Secret", value))
        elif key in ("configMap", "existingConfigMap") and value:
            found.add(("ConfigMap", value))
        elif key == "sources":
            found |= {("ConfigMap", name) for name in value.get("migrations", {}).values()}
            found |= given_by_the_user(value)
        elif key == "serviceAccount" and not value["create"]:
            found.add(("ServiceAccount", value["name"] or "default"))
        elif isinstance(value, Mapping):
            found |= given_by_the_user(value)
    return found


def references(spec: Object) -> set[tuple[str, str]]:
    """Return every (kind, name) that a pod needs."""
    found = {("ServiceAccount", spec["serviceAccountName"])} if "serviceAccountName" in spec else set()
    for box in containers(spec):
        for entry in box.get("env", []):
            if "secretKeyRef" in entry.get("valueFrom", {}):
                found.add(("Secret", entry["valueFrom"]["secretKeyRef"]["name"]))
        found |= {("ConfigMap", entry["configMapRef"]["name"]) for entry in box.get("envFrom", [])}
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            found.add(("ConfigMap", volume["configMap"]["name"]))
        if "secret" in volume:
            found.add(("Secret", volume["secret"]["secretName"]))
    return found


@rule("names fit and never meet")
def names(objects: Sequence[Object], values: Values) -> Iterator[str]:
    seen = set()
    for item in objects:
        if title(item) in seen:
            yield f"{title(item)} is there twice"
        seen.add(title(item))
        if len(item["metadata"]["name"]) > NAME_MAX:
            yield f"{title(item)} is too long"


@rule("objects are in the release's namespace and carry the standard labels")
def labels(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item in objects:
        if item["metadata"]["name"].endswith(EXTRA):
            continue
        if item["metadata"].get("namespace") != NAMESPACE:
            yield f"{title(item)} is in another namespace"
        if not item["metadata"]["labels"].keys() >= LABELS:
            yield f"{title(item)} lacks {LABELS - item['metadata']['labels'].keys()}"


@rule("no variable is given twice")
def variables(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item, _, spec in pods(objects):
        for box in containers(spec):
            given = [entry["name"] for entry in box.get("env", [])]
            yield from (f"{title(item)}: {name}" for name in set(given) if given.count(name) > 1)


@rule("pods have no more rights than they need")
def rights(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item, _, spec in pods(objects):
        if spec["automountServiceAccountToken"] is not False or spec["enableServiceLinks"] is not False:
            yield f"{title(item)} is given a token or links"
        context = spec["securityContext"]
        if (context["runAsNonRoot"], context["seccompProfile"]) != (True, {"type": "RuntimeDefault"}):
            yield f"{title(item)}: {context}"
        if context["runAsUser"] == 0 or {"hostNetwork", "hostPID", "hostIPC"} & spec.keys():
            yield f"{title(item)} is root, or of the node"
        for box in containers(spec):
            if box["securityContext"] != RIGHTS:
                yield f"{title(item)}, {box['name']}: {box['securityContext']}"
    for account in of_kind(objects, "ServiceAccount"):
        if account["automountServiceAccountToken"] is not False:
            yield f"{title(account)} mounts its token"


@rule("containers are pinned and sized")
def containers_are_sized(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item, _, spec in pods(objects):
        for box in containers(spec):
            if not PINNED.search(box["image"]):
                yield f"{title(item)}: {box['image']}"
            sizes = box["resources"]
            if not {"cpu", "memory"} <= sizes["requests"].keys() or "memory" not in sizes["limits"]:
                yield f"{title(item)}, {box['name']}: {sizes}"


@rule("every mount has its volume, every volume its mount, and there is a folder to write to")
def volumes(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item, _, spec in pods(objects):
        mounted = {mount["name"] for box in containers(spec) for mount in box["volumeMounts"]}
        if mounted != {volume["name"] for volume in spec["volumes"]}:
            yield f"{title(item)}: {mounted}"
        for box in spec["containers"]:
            if {"name": "tmp", "mountPath": "/tmp"} not in box["volumeMounts"]:  # noqa: S108
                yield f"{title(item)} has no folder to write to"
            places = [mount["mountPath"] for mount in box["volumeMounts"]]
            if len(places) != len(set(places)):
                yield f"{title(item)} mounts one over the other"


@rule("what lasts is probed, by numbers of its own ports, and liveness asks less than readiness")
def probes(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item in of_kind(objects, "Deployment"):
        spec = item["spec"]["template"]["spec"]
        role = component(item["metadata"]["labels"])
        for box in containers(spec):
            open_ports = {port["containerPort"] for port in box.get("ports", [])}
            asked = [box[name] for name in ("startupProbe", "livenessProbe", "readinessProbe") if name in box]
            for probe in asked:
                how = next(probe[kind] for kind in ("grpc", "httpGet", "tcpSocket", "exec") if kind in probe)
                if "port" in how and how["port"] not in open_ports:
                    yield f"{title(item)} is asked at {how['port']!r}, and listens on {open_ports}"
            if box["name"] == role and (values["admin"]["port"] or not role.startswith(RELAYS)):
                if not {"startupProbe", "livenessProbe"} <= box.keys():
                    yield f"{title(item)} is not probed"
                elif box["livenessProbe"] == box.get("readinessProbe"):
                    yield f"{title(item)} is restarted when it is not ready"
            if box["name"] == "server" and "readinessProbe" not in box:
                yield f"{title(item)} is sent calls before it is ready"


@rule("of two listeners in one pod, none has the other's port")
def ports(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item, _, spec in pods(objects):
        taken = [port["containerPort"] for box in containers(spec) for port in box.get("ports", [])]
        for box in spec.get("initContainers", []):
            taken += [9001, 9002] + [9000] * any("everything.cfg" in part for part in box["command"])
        if len(taken) != len(set(taken)):
            yield f"{title(item)}: {sorted(taken)}"


@rule("replicas are left to the autoscaler")
def autoscaled(objects: Sequence[Object], values: Values) -> Iterator[str]:
    scalers = of_kind(objects, "HorizontalPodAutoscaler") + of_kind(objects, "ScaledObject")
    targets = [item["spec"]["scaleTargetRef"]["name"] for item in scalers]
    for item in of_kind(objects, "Deployment"):
        name = item["metadata"]["name"]
        if targets.count(name) != ("replicas" not in item["spec"]):
            yield f"{title(item)}: {targets.count(name)} scalers, replicas {item['spec'].get('replicas')}"


@rule("selectors are the three frozen labels and match their own pods")
def selectors(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item in of_kind(objects, "Deployment"):
        selector = item["spec"]["selector"]["matchLabels"]
        if selector.keys() != SELECTOR:
            yield f"{title(item)}: {selector}"
        if not selector.items() <= item["spec"]["template"]["metadata"]["labels"].items():
            yield f"{title(item)} does not select its own pods"


@rule("Services and budgets select exactly one workload")
def chosen(objects: Sequence[Object], values: Values) -> Iterator[str]:
    asking = [(item, item["spec"]["selector"]) for item in of_kind(objects, "Service")]
    asking += [
        (item, item["spec"]["selector"]["matchLabels"]) for item in of_kind(objects, "PodDisruptionBudget")
    ]
    for item, selector in asking:
        found = [meta for _, meta, _ in pods(objects) if selector.items() <= meta["labels"].items()]
        if len(found) != 1:
            yield f"{title(item)} selects {len(found)}"


@rule("a budget never forbids every eviction")
def budgets(objects: Sequence[Object], values: Values) -> Iterator[str]:
    least = {
        item["metadata"]["name"]: item["spec"].get("replicas", 0) for item in of_kind(objects, "Deployment")
    }
    for kind, key in (("HorizontalPodAutoscaler", "minReplicas"), ("ScaledObject", "minReplicaCount")):
        for item in of_kind(objects, kind):
            least[item["spec"]["scaleTargetRef"]["name"]] = item["spec"][key]
    for item in of_kind(objects, "PodDisruptionBudget"):
        budget = item["spec"]
        if "minAvailable" in budget or str(budget["maxUnavailable"]) in ("0", "0%"):
            yield f"{title(item)}: {budget}"
        if budget["unhealthyPodEvictionPolicy"] != "AlwaysAllow" or least[item["metadata"]["name"]] < 2:
            yield f"{title(item)} stands before a single pod, or one that is broken"


@rule("every reference resolves, and hooks lean on earlier hooks only")
def resolved(objects: Sequence[Object], values: Values) -> Iterator[str]:
    made = {(item["kind"], item["metadata"]["name"]): item for item in objects}
    for item, _, spec in pods(objects):
        for reference in references(spec) - given_by_the_user(values):
            needed = made.get(reference)
            if needed is None:
                yield f"{title(item)} needs {reference}"
            elif hook(item).startswith("pre-"):
                if hook(needed) != hook(item) or weight(needed) >= weight(item):
                    yield f"{title(item)} needs {reference}, which is not there yet"
            elif hook(needed):
                yield f"{title(item)} needs {reference}, which goes with its hook"


@rule("hooks go when they have succeeded, and make room for themselves")
def hooks(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item in objects:
        if hook(item) and item["metadata"]["annotations"]["helm.sh/hook-delete-policy"] != DELETED:
            yield title(item)


@rule("who stops has the time to drain")
def grace(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item in of_kind(objects, "Deployment"):
        role = component(item["metadata"]["labels"])
        spec = item["spec"]["template"]["spec"]
        drain = values["config"].get("drain_s", 5)
        if role == "server":
            least = math.ceil(values["server"]["drainDelaySeconds"]) + math.ceil(drain) + SPARE_S
        elif role.startswith("worker-"):
            given = {entry["name"]: entry.get("value") for entry in spec["containers"][0]["env"]}
            least = math.ceil(float(given.get("ENTRESOL_DRAIN_S") or drain)) + HANDED_BACK_S
        else:
            continue
        if spec["terminationGracePeriodSeconds"] < least:
            yield f"{title(item)}: {spec['terminationGracePeriodSeconds']} of {least} s"


@rule("pods start again when what the chart tells them has changed")
def checksums(objects: Sequence[Object], values: Values) -> Iterator[str]:
    for item in of_kind(objects, "Deployment"):
        template = item["spec"]["template"]
        wanted = {"checksum/config", "checksum/secret"}
        if "initContainers" in template["spec"] and not values["haproxy"]["existingConfigMap"]:
            wanted.add("checksum/haproxy")
        if not wanted <= template["metadata"]["annotations"].keys():
            yield title(item)


@rule(
    "HAProxy is a sidecar that starts first, and serves nobody beyond its pod but the kubelet and Prometheus"
)
def sidecars(objects: Sequence[Object], values: Values) -> Iterator[str]:
    files = {
        item["metadata"]["name"]: item["data"] for item in of_kind(objects, "ConfigMap") if "data" in item
    }
    for item, meta, spec in pods(objects):
        if component(meta["labels"]) == "test":
            continue
        boxes = spec.get("initContainers", [])
        if [box["name"] for box in boxes] != ["haproxy"] * values["haproxy"]["enabled"]:
            yield f"{title(item)}: {[box['name'] for box in boxes]}"
        for box in boxes:
            if box.get("restartPolicy") != "Always" or box["startupProbe"]["httpGet"]["port"] != 8404:
                yield f"{title(item)}: HAProxy is no sidecar"
            name = next(one["configMap"]["name"] for one in spec["volumes"] if one["name"] == "haproxy")
            for path in (part.removeprefix("/etc/haproxy/") for part in box["command"] if "/" in part):
                text = files.get(name, {}).get(path, "")
                binds = set(re.findall(r"^\s+bind (\S+)", text, re.MULTILINE))
                if not binds <= BINDS or ("127.0.0.1:9002" in binds) is not (name in files):
                    yield f"{title(item)}: {path} binds {binds}"


@rule("a network policy opens what its pods need, and no store that they are not told of")
def network(objects: Sequence[Object], values: Values) -> Iterator[str]:
    policies = of_kind(objects, "NetworkPolicy")
    allowed = values["networkPolicy"]
    for item, meta, spec in pods(objects):
        if component(meta["labels"]) == "test" or not policies:
            continue
        own = [
            one
            for one in policies
            if one["spec"]["podSelector"]["matchLabels"].items() <= meta["labels"].items()
        ]
        if [hook(one) for one in own] != [hook(item)]:
            yield f"{title(item)} has the policies {[title(one) for one in own]}"
            continue
        opened = {
            (port["protocol"], port["port"]) for entry in own[0]["spec"]["egress"] for port in entry["ports"]
        }
        told = {entry["name"] for entry in spec["containers"][0]["env"]}
        beside = spec.get("initContainers", [])
        needs = {
            "database": "ENTRESOL_DATABASE_WRITE" in told,
            "cache": "ENTRESOL_CACHE_URL" in told,
            "rabbitmq": "ENTRESOL_RABBITMQ_URLS" in told,
            "otlp": values["otel"]["enabled"],
            "patroni": bool(beside and values["haproxy"]["postgres"]["servers"]),
        }
        wanted = {("UDP", 53), ("TCP", 53)}
        wanted |= {("TCP", port) for name, need in needs.items() if need for port in allowed[name]["ports"]}
        if any("everything.cfg" in part for box in beside for part in box["command"]):
            wanted |= {("TCP", port) for port in (values["server"]["port"], values["admin"]["port"]) if port}
        wanted |= {
            (port["protocol"], port["port"])
            for entry in allowed["extraEgress"]
            for port in entry.get("ports", [])
        }
        if opened != wanted:
            yield f"{title(item)} may reach {sorted(opened ^ wanted)} wrongly"
