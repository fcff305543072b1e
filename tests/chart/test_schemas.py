"""What is rendered, for Kubernetes' own schemas, and the chart's files, for the linters of charts and images."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from tests.chart.tools import ROOT, run, tool
from tests.helm_binary import find_helm
from tests.unit.helm.chart import CHART, KUBERNETES, NAMESPACE, VALUES, Object, rendered, template
from tests.unit.helm.rules import title

HERE = Path(__file__).parent
VERSIONS = tuple(f"1.{minor}" for minor in range(29, 38))
# `volumes[].image` came with 1.31, and is on by itself from 1.35.
SINCE = {"sources-image-values.yaml": "1.31"}
every_values_file = pytest.mark.parametrize("values", VALUES)


@every_values_file
def test_objects_are_those_of_every_kubernetes_since_1_29(values: str) -> None:
    objects = {f"{values} {title(item)}": item for item in rendered(values)}
    assert validated(objects, VERSIONS[VERSIONS.index(SINCE.get(values, VERSIONS[0])) :]) == []


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    server = next(item for item in rendered("default-values.yaml") if item["kind"] == "Deployment")
    broken = {**server, "spec": {**server["spec"], "replica": 2}}
    assert len(validated({"broken": broken}, VERSIONS)) == len(VERSIONS)
    stranger = {**server, "apiVersion": "apps/v9"}
    assert len(validated({"stranger": stranger}, VERSIONS)) == len(VERSIONS)


def validated(objects: dict[str, Object], versions: Sequence[str]) -> list[str]:
    """Return what the schemas of these versions have against the objects."""
    said = run(tool("python"), str(HERE / "validate.py"), *versions, given=json.dumps(objects))
    found: list[str] = json.loads(said)
    return found


@every_values_file
def test_helm_3_and_4_make_the_same_objects(values: str) -> None:
    assert list(yaml.safe_load_all(by_helm_4(values))) == list(yaml.safe_load_all(template(values).stdout))


@functools.cache
def by_helm_4(values: str) -> str:
    flags = ("-n", NAMESPACE, "--kube-version", KUBERNETES, "-f", str(CHART / "ci" / values))
    return run(str(find_helm(4)), "template", "shop", str(CHART), *flags)


@every_values_file
def test_helm_4_lints_it_strictly(values: str) -> None:
    run(str(find_helm(4)), "lint", "--strict", str(CHART), "-f", str(CHART / "ci" / values))


def test_it_renders_without_a_network() -> None:
    cut_off = ("unshare", "--net", "--map-root-user")
    if subprocess.run((*cut_off, "true"), capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT CHECKED: this machine gives nobody a network of their own (unshare --net)")
    flags = ("-n", NAMESPACE, "--kube-version", KUBERNETES, "-f", str(CHART / "ci" / "ha-values.yaml"))
    said = run(*cut_off, str(find_helm()), "template", "shop", str(CHART), *flags)
    assert said == template("ha-values.yaml").stdout


def test_the_chart_s_own_words_are_of_the_form_that_charts_have() -> None:
    run(tool("yamale"), "--schema", str(HERE / "chart_schema.yaml"), str(CHART / "Chart.yaml"))
    run(tool("check-jsonschema"), "--check-metaschema", str(CHART / "values.schema.json"))
    values = [str(path) for path in sorted((CHART / "ci").iterdir())]
    run(tool("check-jsonschema"), "--schemafile", str(CHART / "values.schema.json"), *values)


def test_yaml_is_written_as_one_reads_it() -> None:
    files = [
        CHART / "Chart.yaml",
        CHART / "values.yaml",
        *(CHART / "ci").iterdir(),
        *(CHART / "rules").iterdir(),
    ]
    files += (CHART / "examples").glob("*.yaml")
    names = [str(path.relative_to(ROOT)) for path in files]
    run(str(ROOT / ".venv" / "bin" / "yamllint"), "--strict", "-c", str(HERE / "yamllint.yaml"), *names)


def test_the_image_s_file_is_one_that_the_linter_of_images_likes() -> None:
    run(tool("hadolint"), "--config", str(HERE / "hadolint.yaml"), str(ROOT / "helm" / "Dockerfile"))


def test_the_package_holds_what_a_release_needs_and_no_more(tmp_path: Path) -> None:
    run(str(find_helm()), "package", str(CHART), "--destination", str(tmp_path))
    shutil.unpack_archive(next(tmp_path.glob("*.tgz")), tmp_path)
    names = {path.relative_to(tmp_path / "entresol").parts[0] for path in (tmp_path / "entresol").rglob("*")}
    assert names == {path.name for path in CHART.iterdir()} - {"ci"}
