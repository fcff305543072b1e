"""The chart as helm renders it: objects, and short ways to what the tests ask of them."""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.helm_binary import find_helm

CHART = Path(__file__).resolve().parents[3] / "helm" / "entresol"
VALUES = tuple(sorted(path.name for path in (CHART / "ci").glob("*-values.yaml")))
NAMESPACE = "shop"
KUBERNETES = "1.34.0"
TIMEOUT_S = 60
Object = dict[str, Any]

# The least values that render; the negative tests start from them.
LEAST = {"database.write.existingSecret": "entresol-database"}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm and return what it said."""
    return subprocess.run(
        (str(find_helm()), *arguments), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def template(
    values: str | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    release: str = "shop",
    chart: Path = CHART,
) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with one of the ci values files, or the least values, and `path=value` settings."""
    chosen = dict(settings or {})
    files = ("-f", str(CHART / "ci" / values)) if values else ()
    if not values and chart == CHART:
        chosen = {**LEAST, **chosen}
    flags = [flag for path, value in chosen.items() for flag in ("--set-json", f"{path}={json.dumps(value)}")]
    return helm(
        "template", release, str(chart), "-n", NAMESPACE, "--kube-version", KUBERNETES, *files, *flags
    )


def render(
    values: str | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    release: str = "shop",
    chart: Path = CHART,
) -> list[Object]:
    """Return the rendered objects; AssertionError with helm's text when it fails."""
    done = template(values, settings, release=release, chart=chart)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.safe_load_all(done.stdout) if item]


@functools.cache
def rendered(values: str) -> tuple[Object, ...]:
    """Return the objects of one ci values file, rendered once."""
    return tuple(render(values))


@functools.cache
def values_of(values: str) -> Object:
    """Return a ci values file over the defaults, as templates see it."""
    defaults, given = (
        yaml.safe_load(path.read_text()) for path in (CHART / "values.yaml", CHART / "ci" / values)
    )
    return over(defaults, given)


def over(defaults: Object, given: Mapping[str, Any]) -> Object:
    """Return values over others: maps key by key, the rest whole."""
    found = dict(defaults)
    for key, value in given.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = over(found[key], value) if both else value
    return found


def refusal(settings: Mapping[str, Any]) -> str:
    """Return what helm says of values that it must refuse."""
    done = template(settings=settings)
    assert done.returncode != 0, "helm accepted them"
    return done.stderr


def of_kind(objects: list[Object] | tuple[Object, ...], kind: str) -> list[Object]:
    return [item for item in objects if item["kind"] == kind]


def named(objects: list[Object] | tuple[Object, ...], kind: str, ending: str) -> Object:
    """Return the one object of a kind whose name ends so."""
    found = [item for item in of_kind(objects, kind) if item["metadata"]["name"].endswith(ending)]
    assert len(found) == 1, [item["metadata"]["name"] for item in of_kind(objects, kind)]
    return found[0]


def pods(objects: list[Object] | tuple[Object, ...]) -> Iterator[tuple[Object, Object, Object]]:
    """Return (object, pod's metadata, pod's spec) of everything that becomes a pod."""
    for item in objects:
        if item["kind"] in ("Deployment", "Job"):
            yield item, item["spec"]["template"]["metadata"], item["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            yield item, item["metadata"], item["spec"]


def containers(spec: Object) -> list[Object]:
    """Return all containers of a pod's spec, those that start first at the front."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def container(item: Object) -> Object:
    """Return the only container of a Deployment or Job."""
    only: Object
    (only,) = item["spec"]["template"]["spec"]["containers"]
    return only


def environment(item: Object) -> dict[str, Any]:
    """Return the variables that a Deployment's or Job's container is given by name."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container(item)["env"]}


def hook(item: Object) -> str:
    """Return which hook an object belongs to; empty for ordinary objects."""
    return str(item["metadata"].get("annotations", {}).get("helm.sh/hook", ""))


def weight(item: Object) -> int:
    return int(item["metadata"].get("annotations", {}).get("helm.sh/hook-weight", 0))
