"""A Kubernetes that stores what it is told and nothing more: enough for every helm command, with no cluster.

It speaks discovery, lists and watches, and the three ways to patch, and says at once what controllers would say after a
while: Deployments are available, Jobs are over, Pods have succeeded. What a real one forbids by its rules of change it
forbids too: another template for a Job, another selector for a Deployment, a variable given twice.
"""

from __future__ import annotations

import copy
import itertools
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chart.patches import patched

Object = dict[str, Any]
# Group and version, plural, namespace, name.
Key = tuple[str, str, str, str]
EPOCH = "2026-01-01T00:00:00Z"
KINDS = {
    "v1": {
        "configmaps": "ConfigMap",
        "events": "Event",
        "namespaces": "Namespace",
        "pods": "Pod",
        "secrets": "Secret",
        "serviceaccounts": "ServiceAccount",
        "services": "Service",
    },
    "apps/v1": {"deployments": "Deployment", "replicasets": "ReplicaSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"jobs": "Job"},
    "keda.sh/v1alpha1": {"scaledobjects": "ScaledObject"},
    "monitoring.coreos.com/v1": {
        "podmonitors": "PodMonitor",
        "prometheusrules": "PrometheusRule",
        "servicemonitors": "ServiceMonitor",
    },
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
}


class RefusedError(Exception):
    """The server's answer to what it does not do: an HTTP code, and the reason as Kubernetes names it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason

    def status(self) -> Object:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": self.reason,
            "message": str(self),
            "code": self.code,
        }


@dataclass
class Kubernetes:
    """The objects, who wrote which in what order, and whether migrations succeed."""

    jobs_fail: bool = False
    objects: dict[Key, Object] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    events: list[tuple[int, Key, Object]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    version: int = 1

    def names(self) -> set[str]:
        """Return Kind/name of every object, without what controllers and helm keep for themselves."""
        hidden = {"ReplicaSet", "Event"}
        with self.changed:
            return {
                f"{item['kind']}/{item['metadata']['name']}"
                for item in self.objects.values()
                if item["kind"] not in hidden and not item["metadata"]["name"].startswith("sh.helm.")
            }

    def get(self, kind: str, name: str) -> Object:
        """Return one object by kind and name."""
        with self.changed:
            (found,) = (
                item
                for item in self.objects.values()
                if (item["kind"], item["metadata"]["name"]) == (kind, name)
            )
            return copy.deepcopy(found)

    def create(self, key: Key, item: Object) -> Object:
        with self.changed:
            if key in self.objects:
                raise RefusedError(409, "AlreadyExists", f'{key[1]} "{key[3]}" already exists')
            metadata = {"uid": str(uuid.uuid4()), "generation": 0, "creationTimestamp": EPOCH}
            item["metadata"].update(metadata)
            return self._store(key, item, "ADDED")

    def apply(self, key: Key, item: Object) -> Object:
        """Put the object in the place of what was there, as one who owns all of its fields."""
        with self.changed:
            old = self.objects.get(key)
            if old is None:
                return self.create(key, item)
            kept = {name: old["metadata"][name] for name in ("uid", "generation", "creationTimestamp")}
            item["metadata"].update(kept)
            return self._store(key, item, "MODIFIED")

    def patch(self, key: Key, patch: Object, *, strategic: bool) -> Object:
        with self.changed:
            old = self.read(key)
            return self._store(key, patched(copy.deepcopy(old), patch, strategic=strategic), "MODIFIED")

    def read(self, key: Key) -> Object:
        with self.changed:
            if key not in self.objects:
                raise RefusedError(404, "NotFound", f'{key[1]} "{key[3]}" not found')
            return self.objects[key]

    def delete(self, key: Key) -> None:
        with self.changed:
            item = self.read(key)
            self.written.append(f"delete {item['kind']}/{key[3]}")
            del self.objects[key]
            self._tell("DELETED", key, item)
            for owned in [
                other
                for other, child in self.objects.items()
                if item["metadata"]["uid"]
                in [owner["uid"] for owner in child["metadata"].get("ownerReferences", [])]
            ]:
                del self.objects[owned]

    def list(self, group: str, plural: str, namespace: str) -> Iterator[tuple[Key, Object]]:
        with self.changed:
            found = [
                (key, item)
                for key, item in self.objects.items()
                if key[:2] == (group, plural) and namespace in ("", key[2])
            ]
        yield from found

    def _store(self, key: Key, item: Object, event: str) -> Object:
        group, plural, namespace, _ = key
        item = {"apiVersion": group, "kind": KINDS[group][plural], **item}
        _check(self.objects.get(key), item)
        self.version += 1
        metadata = item["metadata"]
        if namespace:
            metadata["namespace"] = namespace
        metadata["resourceVersion"] = str(self.version)
        metadata["generation"] += 1
        self._settle(item)
        self.written.append(f"{'create' if event == 'ADDED' else 'update'} {item['kind']}/{key[3]}")
        self.objects[key] = item
        self._tell(event, key, item)
        return item

    def _tell(self, event: str, key: Key, item: Object) -> None:
        self.events.append((self.version, key, copy.deepcopy({"type": event, "object": item})))
        self.changed.notify_all()

    def _settle(self, item: Object) -> None:
        """Say what the controllers would say once they are done."""
        kind = item["kind"]
        if kind == "Deployment":
            item["spec"].setdefault("replicas", 1)
            item["status"] = _available(item)
            self._own_replicas(item)
        elif kind == "Service":
            item["spec"].setdefault("clusterIP", "10.0.0.1")
        elif kind == "Job":
            item["status"] = _over(failed=self.jobs_fail)
        elif kind == "Pod":
            item["status"] = {"phase": "Succeeded", "conditions": [{"type": "Ready", "status": "True"}]}

    def _own_replicas(self, item: Object) -> None:
        metadata = item["metadata"]
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True}
        name = f"{metadata['name']}-1"
        replicas = item["spec"]["replicas"]
        self.objects[("apps/v1", "replicasets", metadata["namespace"], name)] = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "uid": f"{metadata['uid']}-1",
                "resourceVersion": str(self.version),
                "labels": item["spec"]["template"]["metadata"]["labels"],
                "ownerReferences": [{**owner, "name": metadata["name"], "uid": metadata["uid"]}],
            },
            "spec": copy.deepcopy(
                {name: item["spec"][name] for name in ("replicas", "selector", "template")}
            ),
            "status": {"replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas},
        }


def _check(old: Object | None, new: Object) -> None:
    """Refuse what a real one refuses."""
    kind, name = new["kind"], new["metadata"]["name"]
    fixed = {"Job": "template", "Deployment": "selector"}.get(kind)
    if old is not None and fixed and old["spec"][fixed] != new["spec"][fixed]:
        raise RefusedError(422, "Invalid", f'{kind} "{name}" is invalid: spec.{fixed}: field is immutable')
    if kind in ("Deployment", "Job"):
        spec = new["spec"]["template"]["spec"]
        for box in itertools.chain(spec.get("initContainers", []), spec["containers"]):
            given = [entry["name"] for entry in box.get("env", [])]
            if len(given) != len(set(given)):
                raise RefusedError(422, "Invalid", f'{kind} "{name}" is invalid: env: duplicate entries')


def _available(item: Object) -> Object:
    replicas = item["spec"]["replicas"]
    return {
        "observedGeneration": item["metadata"]["generation"],
        **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas),
        "conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
        ],
    }


def _over(*, failed: bool) -> Object:
    condition = {"type": "Failed" if failed else "Complete", "status": "True"}
    if failed:
        return {
            "startTime": EPOCH,
            "failed": 1,
            "conditions": [{**condition, "reason": "BackoffLimitExceeded"}],
        }
    return {"startTime": EPOCH, "completionTime": EPOCH, "succeeded": 1, "conditions": [condition]}
