"""Values that cannot work, and what helm says of them: the value, the rule and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.helm.chart import CHART, helm, refusal

PATRONI = {"haproxy.enabled": True, "haproxy.postgres.servers": ["pg-0:5432", "pg-1:5432"]}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"database.write.existingSecret": ""}, "set database.write.existingSecret"),
        ({"database.write.url": "postgresql://primary/entresol"}, "keep one of them"),
        ({"database.write.url": "mysql://primary/entresol"}, "/database/write/url"),
        ({"global.image.tag": "latest"}, "names another image tomorrow"),
        ({"global.image.digest": "sha256:12"}, "/global/image/digest"),
        ({"server.terminationGracePeriodSeconds": 24}, "too short; drainDelaySeconds + config.drain_s"),
        ({"config.drain_s": 20.5}, "too short"),
        (
            {"server.autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2}},
            "more than maxReplicas",
        ),
        ({"server.replicas": "two"}, "/server/replicas"),
        ({"server.replica": 2}, "additional properties 'replica' not allowed"),
        ({"server.pdb.maxUnavailable": 0}, "/server/pdb/maxUnavailable"),
        ({"config.drain": 5}, "additional properties 'drain' not allowed"),
        ({"config.cache_breaker_failures": "many"}, "/config/cache_breaker_failures"),
        ({"migrations.mode": "cronjob"}, "/migrations/mode"),
        ({"relay.replicas": 3}, "/relay/replicas"),
        ({"database.analytics.url": "redis://standby"}, "/database/analytics/url"),
        ({"rabbitmq": {"urls": ["http://rabbit"]}}, "/rabbitmq/urls/0"),
        ({"rabbitmq": {"urls": ["amqps://r/v"], "existingSecret": "rabbitmq"}}, "keep one of them"),
        ({"relayJobs.enabled": True}, "relayJobs: there is no RabbitMQ; set rabbitmq.existingSecret"),
        ({"publish.enabled": True}, "publish: there is no RabbitMQ; set rabbitmq.existingSecret"),
        ({"publish.replicas": 3}, "/publish/replicas"),
        ({"relayJobs.queues": []}, "/relayJobs/queues"),
        ({"workers.pools.mail.queue": "mail"}, "additional properties 'queue' not allowed"),
        ({"workers.pools.mail.queues": ["Mail"]}, "/workers/pools/mail/queues/0"),
        ({"workers.pools.mail.queues": ["m') OR ('' = '"]}, "/workers/pools/mail/queues/0"),
        ({"workers.pools.mail_room": {}}, "invalid propertyName 'mail_room'"),
        ({"workers.pools.mail.config.drain": 5}, "additional properties 'drain' not allowed"),
        (
            {"workers.pools.mail.config.jobs_relayed": True},
            "mail: config.jobs_relayed takes jobs from RabbitMQ",
        ),
        ({"config.jobs_relayed": True}, "default: config.jobs_relayed takes jobs from RabbitMQ"),
        (
            {"workers.pools.mail.terminationGracePeriodSeconds": 29},
            "too short; config.drain_s + 15 s to spare are 30",
        ),
        (
            {"workers.pools.mail.autoscaling": {"enabled": True, "minReplicas": 11}},
            "workers.pools.mail.autoscaling: minReplicas is more than maxReplicas",
        ),
        ({"workers.defaults.autoscaling.lateSeconds": 0}, "/workers/defaults/autoscaling/lateSeconds"),
        ({"redis.url": "redis://valkey"}, "additional properties 'redis' not allowed"),
        ({"cache": {"url": "memcached://store"}}, "/cache/url"),
        ({"server.preStopSleepSeconds": 5}, "set server.drainDelaySeconds (helm/entresol/UPGRADING.md)"),
        ({"admin.port": 9000}, "server.port and admin.port: both listen on 9000 in one pod"),
        ({"server.webPort": 9464}, "server.webPort and admin.port: both listen on 9464"),
        ({"haproxy.enabled": True}, "haproxy.postgres: HAProxy knows no PostgreSQL; set servers"),
        ({**PATRONI, "haproxy.postgres.writeService": "rw:5432"}, "given by more than one of"),
        ({**PATRONI, "haproxy.existingConfigMap": "topology"}, "given by more than one of"),
        ({**PATRONI, "server.port": 9001}, "haproxy and server.port: both listen on 9001"),
        ({**PATRONI, "workers.defaults.healthPort": 9000}, "workers.pools.default.healthPort and haproxy"),
        ({**PATRONI, "tls.existingSecret": "certificate"}, "HAProxy tells calls apart"),
        ({**PATRONI, "haproxy.postgres.servers": ["pg-0"]}, "/haproxy/postgres/servers/0"),
        ({**PATRONI, "haproxy.image.tag": "latest"}, "names another image tomorrow"),
        ({"metrics.serviceMonitor.enabled": True, "admin.port": 0}, "served at admin.port, which is 0"),
        (
            {"sources.image.reference": "shop:1", "sources.protos.configMap": "protos"},
            "are in an image and in ConfigMaps",
        ),
        ({"sources.image.reference": "shop"}, "/sources/image/reference"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(settings: dict[str, Any], says: str) -> None:
    assert says in refusal(settings)


def test_images_of_files_are_refused_where_kubernetes_mounts_none() -> None:
    flags = ("--kube-version", "1.32.0", "-f", str(CHART / "ci" / "sources-image-values.yaml"))
    done = helm("template", "shop", str(CHART), *flags)
    assert done.returncode != 0
    assert "Kubernetes mounts images from 1.33" in done.stderr
