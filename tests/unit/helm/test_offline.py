"""What the chart makes of pools of workers, and of what tells RabbitMQ of jobs and events."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
import yaml
from tests.unit.helm.chart import (
    CHART,
    Object,
    container,
    environment,
    named,
    of_kind,
    render,
    rendered,
)

from entresol.cli.main import entresol
from entresol.config import Settings

OFFLINE = "offline-values.yaml"
MAIL = "-worker-mail-and-all-that-goes-by-mail"


def pool(objects: tuple[Object, ...] | list[Object], ending: str) -> Object:
    return named(objects, "Deployment", ending)


def told(objects: tuple[Object, ...] | list[Object], ending: str) -> Settings:
    """Return the settings that the pods of a Deployment have."""
    texts = {
        name: value for name, value in environment(pool(objects, ending)).items() if isinstance(value, str)
    }
    return Settings.load({**named(objects, "ConfigMap", "-entresol")["data"], **texts})


def test_a_default_install_runs_the_jobs_of_the_default_queue() -> None:
    worker = pool(rendered("default-values.yaml"), "-worker-default")
    assert worker["spec"]["replicas"] == 2
    assert container(worker)["args"] == ["work", "--queue", "default", "--health", "0.0.0.0:9010"]
    assert not of_kind(rendered("default-values.yaml"), "ScaledObject")


def test_a_pool_serves_its_queues_or_the_one_of_its_name() -> None:
    queues = {
        ending: [queue for flag, queue in itertools.pairwise(args) if flag == "--queue"]
        for ending in ("-worker-default", MAIL, "-worker-reports")
        if (args := container(pool(rendered(OFFLINE), ending))["args"])
    }
    assert list(queues.values()) == [["default"], ["mail", "bulk_mail"], ["reports"]]
    assert not [item for item in rendered(OFFLINE) if "idle" in item["metadata"]["name"]]


def test_every_pod_s_arguments_are_those_of_a_command() -> None:
    for item in of_kind(rendered(OFFLINE), "Deployment"):
        name, *arguments = container(item)["args"]
        command = entresol.get_command(entresol.make_context("entresol", [name]), name)
        assert command is not None
        command.make_context(name, arguments)


def test_a_pool_has_settings_of_its_own_over_those_of_all() -> None:
    relayed, mail, reports = (
        told(rendered(OFFLINE), ending) for ending in ("-worker-default", MAIL, "-worker-reports")
    )
    assert [one.jobs_relayed for one in (relayed, mail, reports)] == [True, False, False]
    assert [one.jobs_concurrency for one in (relayed, mail, reports)] == [100, 20, 100]
    assert [one.drain_s for one in (relayed, mail, reports)] == [15, 15, 280.5]
    assert reports.batches_memory_bytes == 2147483648
    assert {one.jobs_kept_days for one in (relayed, mail, reports)} == {3}
    assert {one.jobs_processes for one in (relayed, mail, reports)} == {1}
    assert told(rendered(OFFLINE), "-server").jobs_relayed is False


def test_a_pool_may_say_otherwise_than_the_defaults_and_they_than_the_global_values() -> None:
    environments = [environment(pool(rendered(OFFLINE), ending)) for ending in ("-server", "-worker-default")]
    assert [given["PYTHONMALLOC"] for given in environments] == ["malloc", "pymalloc"]
    reports, mail = (
        pool(rendered(OFFLINE), ending)["spec"]["template"]["spec"] for ending in ("-reports", MAIL)
    )
    assert reports["volumes"][0]["emptyDir"] == {"sizeLimit": "20Gi"}
    assert mail["volumes"][0]["emptyDir"] == {"sizeLimit": "64Mi"}
    assert reports["containers"][0]["resources"]["limits"] == {"memory": "4Gi"}
    assert mail["containers"][0]["resources"]["limits"] == {"memory": "512Mi"}


def test_a_worker_has_the_time_to_drain_and_to_hand_back() -> None:
    graces = {
        ending: pool(rendered(OFFLINE), ending)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for ending in ("-worker-default", "-worker-reports")
    }
    assert graces == {"-worker-default": 30, "-worker-reports": 296}
    longer = render(settings={"workers.pools.default.terminationGracePeriodSeconds": 60})
    assert pool(longer, "-worker-default")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60


def test_a_worker_is_restarted_when_it_no_longer_answers_and_by_nothing_else() -> None:
    box = container(pool(render(settings={"workers.defaults.healthPort": 9555}), "-worker-default"))
    grpc = {"port": 9555, "service": "liveness"}
    assert box["startupProbe"] == {"grpc": grpc, "periodSeconds": 2, "failureThreshold": 60}
    assert box["livenessProbe"] == {
        "grpc": grpc,
        "periodSeconds": 10,
        "timeoutSeconds": 5,
        "failureThreshold": 6,
    }
    assert "readinessProbe" not in box  # nobody calls it
    assert box["args"][-1] == "0.0.0.0:9555"
    assert [port["containerPort"] for port in box["ports"]] == [9555, 9464]


def test_pods_of_a_component_are_spread_over_nodes() -> None:
    for item in of_kind(rendered(OFFLINE), "Deployment"):
        template = item["spec"]["template"]
        (spread,) = template["spec"]["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


def test_what_always_has_several_pods_has_a_disruption_budget() -> None:
    budgets = {
        item["metadata"]["name"].removeprefix("shop-entresol-"): item["spec"]["maxUnavailable"]
        for item in of_kind(rendered(OFFLINE), "PodDisruptionBudget")
    }
    # None for the pool that may have no pod at all.
    assert budgets == {
        "server": 1,
        "worker-default": 1,
        "worker-reports": "50%",
        "relay-jobs": 1,
        "publish": 1,
    }


def test_a_pool_grows_with_what_is_late_and_shrinks_no_further_than_what_runs() -> None:
    objects = rendered(OFFLINE)
    scaler = named(objects, "ScaledObject", MAIL)["spec"]
    assert scaler["scaleTargetRef"]["name"] == pool(objects, MAIL)["metadata"]["name"]
    assert "replicas" not in pool(objects, MAIL)["spec"]
    assert (scaler["minReplicaCount"], scaler["maxReplicaCount"]) == (0, 40)
    assert scaler["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"] == {
        "stabilizationWindowSeconds": 30
    }
    late, running = scaler["triggers"]
    # An age has no share for each pod, a number of jobs has.
    assert (late["metricType"], late["metadata"]["targetQueryValue"]) == ("Value", "7.5")
    assert (running["metricType"], running["metadata"]["targetQueryValue"]) == ("AverageValue", "20")
    for trigger in (late, running):
        assert trigger["type"] == "postgresql"
        assert trigger["metadata"]["connectionFromEnv"] in environment(pool(objects, MAIL))
        assert "IN ('mail', 'bulk_mail')" in trigger["metadata"]["query"]
    assert pool(objects, "-worker-default")["spec"]["replicas"] == 3
    assert len(of_kind(objects, "ScaledObject")) == 2


@pytest.mark.parametrize(
    ("ending", "wanted"),
    [
        ("-relay-jobs", {"ENTRESOL_DATABASE_WRITE", "ENTRESOL_RABBITMQ_URLS"}),
        ("-publish", {"ENTRESOL_DATABASE_WRITE", "ENTRESOL_RABBITMQ_URLS"}),
        ("-server", {"ENTRESOL_DATABASE_WRITE", "ENTRESOL_DATABASE_READ", "ENTRESOL_CACHE_URL"}),
        (
            "-worker-default",
            {
                "ENTRESOL_DATABASE_WRITE",
                "ENTRESOL_DATABASE_READ",
                "ENTRESOL_DATABASE_ANALYTICS",
                "ENTRESOL_CACHE_URL",
                "ENTRESOL_RABBITMQ_URLS",
            },
        ),
    ],
)
def test_a_component_is_told_of_the_stores_that_it_needs_and_of_no_others(
    ending: str, wanted: set[str]
) -> None:
    given = environment(pool(rendered(OFFLINE), ending))
    assert {name for name, value in given.items() if isinstance(value, dict)} == wanted


def test_urls_of_brokers_and_standbys_in_the_values_end_in_the_chart_s_own_secret() -> None:
    nodes = ["amqps://entresol:word@rabbit-1/shop", "amqps://entresol:word@rabbit-2/shop"]
    settings: dict[str, Any] = {
        "rabbitmq.urls": nodes,
        "database.analytics.url": "postgresql://standby/entresol",
        "database.jobs.url": "postgresql://queue/entresol",
        "publish.enabled": True,
    }
    objects = render(settings=settings)
    data = named(objects, "Secret", "-entresol")["data"]
    assert base64.b64decode(data["rabbitmq"]).decode().split() == nodes
    assert base64.b64decode(data["database-analytics"]).decode() == "postgresql://standby/entresol"
    assert base64.b64decode(data["database-jobs"]).decode() == "postgresql://queue/entresol"
    told = environment(pool(objects, "-server"))["ENTRESOL_DATABASE_JOBS"]["secretKeyRef"]
    assert told == {"name": "shop-entresol", "key": "database-jobs"}
    reference = environment(pool(objects, "-publish"))["ENTRESOL_RABBITMQ_URLS"]["secretKeyRef"]
    assert reference == {"name": "shop-entresol", "key": "rabbitmq"}


def test_jobs_and_events_go_to_rabbitmq_where_that_is_asked_for() -> None:
    objects = rendered(OFFLINE)
    assert container(pool(objects, "-relay-jobs"))["args"] == ["relay-jobs", "--queue", "default"]
    assert container(pool(objects, "-publish"))["args"] == ["publish"]
    assert [pool(objects, ending)["spec"]["replicas"] for ending in ("-relay-jobs", "-publish")] == [2, 2]
    names = [item["metadata"]["name"] for item in of_kind(rendered("default-values.yaml"), "Deployment")]
    assert sorted(names) == ["shop-entresol-server", "shop-entresol-worker-default"]


def test_the_pools_that_the_readme_shows_are_rendered() -> None:
    text = (CHART.parent / "README.md").read_text().partition("\n## Workers\n")[2]
    shown = yaml.safe_load(text.split("```")[1])
    objects = render(settings={"workers.pools": shown["workers"]["pools"]})
    assert container(pool(objects, "-worker-reports"))["args"][:5] == [
        *("work", "--queue", "reports", "--queue", "exports")
    ]
    assert told(objects, "-worker-reports").drain_s == 600
    assert container(pool(objects, "-worker-mail"))["args"][:3] == ["work", "--queue", "mail"]


def test_nobody_calls_workers_and_relays() -> None:
    for item in of_kind(rendered(OFFLINE), "NetworkPolicy"):
        assert ("ingress" in item["spec"]) is item["metadata"]["name"].endswith("-server")
        assert item["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_every_component_takes_what_all_pods_have() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    whole = schema["definitions"]["pod"]["properties"].keys()
    components = [*schema["properties"].values(), schema["definitions"]["pool"]]
    found = [item for item in components if item.get("allOf") == [{"$ref": "#/definitions/pod"}]]
    assert len(found) == 6
    assert all(whole <= item["properties"].keys() for item in found)
