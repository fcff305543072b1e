"""What the chart makes of its values, and which values it refuses."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from tests.unit.helm.chart import (
    CHART,
    VALUES,
    container,
    environment,
    hook,
    named,
    of_kind,
    render,
    rendered,
)

from entresol.config import Settings

# Settings that have a value of their own in the chart, and those of embedded servers, which no cluster has.
ELSEWHERE = {
    "database_write",
    "database_read",
    "database_analytics",
    "database_jobs",
    "rabbitmq_urls",
    "cache_url",
    "token_keys",
    "listen",
    "web_listen",
    "telemetry",
    "admin_listen",
    "drain_delay_s",
}
# What `serve --workers` sets for the processes that it starts; a pod has one.
WITHIN = {"reuse_port"}
EMBEDDED = {"postgres_bin", "redis_bin", "haproxy_bin"}
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", tuple[str, ...]: "string"}
CACHE = {"cache.existingSecret": "entresol-cache"}
OWN_URL = {"database.write.existingSecret": "", "database.write.url": "postgresql://primary/entresol"}


def test_the_values_that_deployment_asks_for_are_rendered() -> None:
    wanted = {"default", "ha", "existing-secret", "job", "disabled", "offline", "patroni", "cnpg", "sentinel"}
    wanted |= {"tls", "tls-alone", "metrics", "sources", "sources-image", "placement", "topology", "cluster"}
    assert {f"{name}-values.yaml" for name in wanted} == set(VALUES)


def test_the_chart_is_of_the_product_s_version() -> None:
    project = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == project["version"]


def test_config_takes_exactly_the_settings_of_the_platform() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    types = get_type_hints(Settings)
    names = {item.name for item in dataclasses.fields(Settings)} - ELSEWHERE - EMBEDDED - WITHIN
    wanted = {name: {"type": JSON_TYPES[types[name]]} for name in names}
    assert schema["properties"]["config"]["properties"] == wanted, "bring values.schema.json up to config.py"


def test_the_server_is_probed_by_number_and_stays_alive_when_it_is_not_ready() -> None:
    box = container(named(rendered("default-values.yaml"), "Deployment", "-server"))
    assert [(port["name"], port["containerPort"]) for port in box["ports"]] == [
        ("grpc", 9000),
        ("admin", 9464),
    ]
    assert (
        box["livenessProbe"]["grpc"] == box["startupProbe"]["grpc"] == {"port": 9000, "service": "liveness"}
    )
    assert box["readinessProbe"]["grpc"] == {"port": 9000}
    assert box["startupProbe"]["failureThreshold"] == 60
    assert box["livenessProbe"]["failureThreshold"] == 6


def test_the_web_has_a_port_when_it_is_given_one() -> None:
    objects = render(settings={"server.webPort": 9080, "networkPolicy.enabled": True})
    box = container(named(objects, "Deployment", "-server"))
    assert {"name": "web", "containerPort": 9080, "protocol": "TCP"} in box["ports"]
    service = named(objects, "Service", "-server")
    assert [port["port"] for port in service["spec"]["ports"]] == [9000, 9080]
    policy = named(objects, "NetworkPolicy", "-server")
    assert {"port": 9080, "protocol": "TCP"} in policy["spec"]["ingress"][0]["ports"]
    told = [item["data"].get("ENTRESOL_WEB_LISTEN") for item in of_kind(objects, "ConfigMap")]
    assert "0.0.0.0:9080" in told


def test_the_port_is_the_same_everywhere() -> None:
    objects = render(settings={"server.port": 9443, "networkPolicy.enabled": True})
    box = container(named(objects, "Deployment", "-server"))
    assert box["ports"][0]["containerPort"] == 9443
    assert {box[probe]["grpc"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        9443
    }
    assert {service["spec"]["ports"][0]["port"] for service in of_kind(objects, "Service")} == {9443}
    assert named(objects, "ConfigMap", "-entresol")["data"]["ENTRESOL_LISTEN"] == "0.0.0.0:9443"
    policy = named(objects, "NetworkPolicy", "-server")
    assert [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]] == [9443, 9464]


def test_a_stopping_server_says_so_before_it_drains() -> None:
    server = named(rendered("ha-values.yaml"), "Deployment", "-server")
    assert environment(server)["ENTRESOL_DRAIN_DELAY_S"] == "5"
    assert server["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60


def test_services_say_that_they_speak_http2() -> None:
    objects = rendered("default-values.yaml")
    services = of_kind(objects, "Service")
    assert [service["spec"]["ports"][0]["appProtocol"] for service in services] == ["kubernetes.io/h2c"] * 2
    headless = named(objects, "Service", "-headless")
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is False


def test_commands_are_those_of_the_platform() -> None:
    always = {"migrate", "relay", "serve", "work"}
    for values, wanted in (("ha", always), ("offline", {*always, "relay-jobs", "publish"})):
        objects = rendered(f"{values}-values.yaml")
        boxes = [container(item) for kind in ("Deployment", "Job") for item in of_kind(objects, kind)]
        assert all(box["command"] == ["entresol"] for box in boxes)
        assert {box["args"][0] for box in boxes} == wanted


def test_replicas_are_left_to_the_autoscaler() -> None:
    objects = rendered("ha-values.yaml")
    server = named(objects, "Deployment", "-server")
    assert "replicas" not in server["spec"]
    (scaler,) = of_kind(objects, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == server["metadata"]["name"]
    assert not of_kind(rendered("default-values.yaml"), "HorizontalPodAutoscaler")


def test_a_single_server_has_no_disruption_budget() -> None:
    alone = of_kind(rendered("job-values.yaml"), "PodDisruptionBudget")
    assert not [item for item in alone if item["metadata"]["name"].endswith("-server")]
    budget = named(rendered("default-values.yaml"), "PodDisruptionBudget", "-server")
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_there_is_a_relay_exactly_where_there_is_a_cache() -> None:
    for values, relays in (("default-values.yaml", 0), ("ha-values.yaml", 1), ("disabled-values.yaml", 0)):
        found = [
            item for item in of_kind(rendered(values), "Deployment") if "-relay" in item["metadata"]["name"]
        ]
        assert len(found) == relays, values


def test_urls_come_from_secrets_only() -> None:
    objects = rendered("existing-secret-values.yaml")
    assert not of_kind(objects, "Secret")
    wanted = {
        "ENTRESOL_DATABASE_WRITE": ("entresol-database", "url"),
        "ENTRESOL_DATABASE_READ": ("entresol-database", "replicas"),
        "ENTRESOL_CACHE_URL": ("entresol-cache", "url"),
        "ENTRESOL_TOKEN_KEYS": ("entresol-tokens", "key"),
    }
    for ending in ("-server", "-relay"):
        given = environment(named(objects, "Deployment", ending))
        assert {
            name: tuple(given[name]["secretKeyRef"][key] for key in ("name", "key")) for name in wanted
        } == wanted
    assert set(wanted) & set(environment(of_kind(objects, "Job")[0])) == {"ENTRESOL_DATABASE_WRITE"}


def test_urls_in_the_values_end_in_the_chart_s_own_secret() -> None:
    data = named(rendered("ha-values.yaml"), "Secret", "-entresol")["data"]
    texts = {key: base64.b64decode(value).decode() for key, value in data.items()}
    assert texts["database-write"] == "postgresql://entresol:word@primary:5432/entresol"
    assert texts["database-read"].split() == [
        f"postgresql://entresol:word@replica-{number}:5432/entresol" for number in (1, 2)
    ]
    assert texts["cache"] == "redis://valkey:6379/0"
    assert texts["token-keys"] == "not-a-real-key"


def test_settings_reach_the_platform_as_it_reads_them() -> None:
    data = named(rendered("ha-values.yaml"), "ConfigMap", "-entresol")["data"]
    settings = Settings.load(data)
    assert settings.message_size_bytes_max == 16777216
    assert settings.drain_s == 20.5
    assert settings.telemetry is True
    assert data["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4317"


def test_a_component_s_variables_win_over_the_global_ones() -> None:
    objects = rendered("ha-values.yaml")
    assert environment(named(objects, "Deployment", "-server"))["PYTHONMALLOC"] == "pymalloc"
    assert environment(named(objects, "Deployment", "-relay"))["PYTHONMALLOC"] == "malloc"
    assert environment(named(objects, "Deployment", "-server"))["ENTRESOL_LISTEN"] == "[::]:9000"


def test_pods_restart_when_and_only_when_what_they_read_has_changed() -> None:
    def checksums(**settings: Any) -> dict[str, dict[str, str]]:
        objects = render(settings={**CACHE, **OWN_URL, **settings})
        found = {
            item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"]
            for item in of_kind(objects, "Deployment")
        }
        assert len(found) == 3
        return found

    before = checksums()
    for changed, key in (
        ({"config.drain_s": 14}, "config"),
        ({"database.read.urls": ["postgresql://r/d"]}, "secret"),
    ):
        after = checksums(**changed)
        for name, found in before.items():
            assert {item for item in found if found[item] != after[name][item]} == {f"checksum/{key}"}
    assert checksums(**{"server.replicas": 5}) == before


def test_the_migration_hook_comes_with_all_it_needs() -> None:
    objects = rendered("default-values.yaml")
    hooks = {item["kind"]: item for item in objects if hook(item) == "pre-install,pre-upgrade"}
    assert hooks.keys() == {"ServiceAccount", "Secret", "Job"}
    job = hooks["Job"]
    assert job["metadata"]["name"] == "shop-entresol-migrate"
    assert job["spec"]["backoffLimit"] == 2
    assert job["spec"]["activeDeadlineSeconds"] == 600
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_a_migration_job_has_another_name_when_it_would_do_something_else() -> None:
    def name(**settings: Any) -> str:
        objects = render(settings={"migrations.mode": "job", **OWN_URL, **settings})
        (job,) = of_kind(objects, "Job")
        assert not hook(job)
        return str(job["metadata"]["name"])

    assert name() == name(**{"server.replicas": 4})
    changes = (
        {"global.image.tag": "9.9.9"},
        {"database.write.url": "postgresql://other/d"},
        {"config.protos": "p"},
    )
    assert len({name(), *(name(**change) for change in changes)}) == 1 + len(changes)


def test_migrations_can_be_left_to_others() -> None:
    assert not of_kind(rendered("disabled-values.yaml"), "Job")


def test_an_image_is_a_tag_or_a_digest() -> None:
    assert container(named(render(), "Deployment", "-server"))["image"] == "entresol:0.1.0"
    (job,) = of_kind(rendered("existing-secret-values.yaml"), "Job")
    assert container(job)["image"] == "example/stories:2.7.1"
    assert "@sha256:" in container(named(rendered("ha-values.yaml"), "Deployment", "-server"))["image"]


@pytest.mark.parametrize(
    ("values", "how", "command"),
    [
        (
            "default",
            "grpc",
            "entresol call grpc.health.v1.Health/Check --address shop-entresol-server.shop:9000",
        ),
        ("tls", "httpGet", "http://shop-entresol-server-headless.shop:9464/readyz"),
        ("tls-alone", "tcpSocket", "socket.create_connection(('shop-entresol-server-headless.shop', 9000)"),
    ],
)
def test_under_tls_the_server_is_asked_where_one_needs_no_certificate(
    values: str, how: str, command: str
) -> None:
    objects = rendered(f"{values}-values.yaml")
    box = container(named(objects, "Deployment", "-server"))
    assert all(how in box[probe] for probe in ("startupProbe", "livenessProbe", "readinessProbe"))
    (pod,) = of_kind(objects, "Pod")
    assert command in " ".join(pod["spec"]["containers"][0]["command"])


def test_only_servers_have_the_certificate() -> None:
    objects = rendered("tls-values.yaml")
    told = {item["metadata"]["name"]: environment(item) for item in of_kind(objects, "Deployment")}
    with_tls = {name for name, given in told.items() if "ENTRESOL_TLS_KEY" in given}
    assert with_tls == {"shop-entresol-server"}
    assert told["shop-entresol-server"]["ENTRESOL_TLS_CLIENT_CA"] == "/etc/entresol/tls/ca.crt"


def test_sources_that_are_mounted_are_where_the_settings_say() -> None:
    for values, protos in (("sources", "/sources/protos/protos.binpb"), ("sources-image", "/sources/protos")):
        objects = rendered(f"{values}-values.yaml")
        settings = Settings.load(named(objects, "ConfigMap", "-entresol")["data"])
        assert (settings.protos, settings.migrations) == (protos, "/sources/migrations")
        job = of_kind(objects, "Job")[0]
        mounted = {mount["mountPath"] for mount in container(job)["volumeMounts"]}
        assert any(settings.protos.startswith(place) for place in mounted)
        assert environment(job)["ENTRESOL_PROTOS"] == protos


def test_migrations_go_by_way_of_haproxy_from_a_configuration_of_their_own() -> None:
    objects = rendered("patroni-values.yaml")
    job = named(objects, "Job", "-migrate")["spec"]["template"]["spec"]
    assert {"name": "haproxy", "configMap": {"name": "shop-entresol-migrate"}} in job["volumes"]
    copy, original = (named(objects, "ConfigMap", f"-{end}")["data"] for end in ("migrate", "haproxy"))
    assert copy == original
    outside = named(rendered("topology-values.yaml"), "Job", "-migrate")["spec"]["template"]["spec"]
    assert {"name": "haproxy", "configMap": {"name": "shop-topology"}} in outside["volumes"]


def test_a_relay_is_asked_at_its_admin_port_or_as_its_values_say() -> None:
    def probes(**settings: Any) -> dict[str, Any]:
        box = container(named(render(settings={**CACHE, **settings}), "Deployment", "-relay"))
        return {name: probe for name, probe in box.items() if name.endswith("Probe")}

    assert {name: probe["httpGet"] for name, probe in probes().items()} == {
        name: {"path": "/livez", "port": 9464} for name in ("startupProbe", "livenessProbe")
    }
    assert probes(**{"admin.port": 0}) == {}
    own = {"exec": {"command": ["true"]}, "periodSeconds": 3}
    assert probes(**{"relay.livenessProbe": own})["livenessProbe"].items() >= own.items()
    assert "httpGet" not in probes(**{"relay.livenessProbe": own})["livenessProbe"]


def test_it_can_be_part_of_another_chart(tmp_path: Path) -> None:
    parent = tmp_path / "shop"
    shutil.copytree(CHART, parent / "charts" / "entresol")
    (parent / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    values = {
        "global": {"color": "blue", "image": {"tag": "3.1.4"}},
        "entresol": {"enabled": True, "database": {"write": {"existingSecret": "database"}}},
    }
    (parent / "values.yaml").write_text(yaml.safe_dump(values))
    server = named(render(chart=parent), "Deployment", "-server")
    assert container(server)["image"] == "entresol:3.1.4"


def test_manifests_of_the_user_s_are_rendered() -> None:
    assert named(rendered("ha-values.yaml"), "ConfigMap", "-extra")["data"] == {"chart": "entresol"}
