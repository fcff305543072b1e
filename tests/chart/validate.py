"""Check objects against the schemas of several versions of Kubernetes; run by the Python of `.venv-chart`.

It reads from standard input a map of names to objects, as JSON, and prints as JSON every finding of every version.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import kubernetes_validate

# Kinds that operators define; `Kubernetes` itself knows none of them.
DEFINED_BY_OPERATORS = {
    "monitoring.coreos.com/v1": {"PodMonitor", "PrometheusRule", "ServiceMonitor"},
    "keda.sh/v1alpha1": {"ScaledObject"},
}


def findings(name: str, item: dict[str, Any], version: str) -> Iterator[str]:
    if item["kind"] in DEFINED_BY_OPERATORS.get(item["apiVersion"], ()):
        return
    try:
        kubernetes_validate.validate(item, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{name}, Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
        yield f"{name}, Kubernetes {version}: {error}"


def main(versions: list[str]) -> None:
    """Print what each of these versions has against the objects."""
    asked = [(name, item, version) for name, item in json.load(sys.stdin).items() for version in versions]
    print(json.dumps([found for one in asked for found in findings(*one)]))


if __name__ == "__main__":
    main(sys.argv[1:])
