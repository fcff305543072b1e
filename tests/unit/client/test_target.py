"""Where connections go: which targets are one server, and how several addresses become one."""

from __future__ import annotations

import json

import pytest

from entresol_client.target import is_one_server, target_of
from entresol_client.wire import service_config


def test_addresses_of_one_version_are_one_target() -> None:
    assert target_of(["10.0.0.1:9000", "10.0.0.2:9000"]) == "ipv4:10.0.0.1:9000,10.0.0.2:9000"
    assert target_of(["[::1]:1", "[::1]:2"]) == "ipv6:[::1]:1,[::1]:2"


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1:1", "[::1]:1"], ["server:1", "10.0.0.1:1"], ["localhost:1"]]
)
def test_names_and_mixtures_are_refused_with_what_to_do(addresses: list[str]) -> None:
    with pytest.raises(ValueError, match=r"give IP addresses of one version.*dns:///name:9000"):
        target_of(addresses)


@pytest.mark.parametrize(
    ("target", "one"),
    [
        ("127.0.0.1:9000", True),
        ("localhost:9000", True),
        ("dns:///localhost:9000", True),
        ("[::1]:9000", True),
        ("unix:/run/entresol.sock", True),
        ("ipv4:10.0.0.1:9000", True),
        ("ipv4:10.0.0.1:9000,10.0.0.2:9000", False),
        ("servers:9000", False),
        ("dns:///servers:9000", False),
        ("xds:///servers", False),
    ],
)
def test_only_what_may_be_several_servers_is_asked_for_its_health(target: str, one: bool) -> None:
    assert is_one_server(target) is one


def test_the_config_of_a_channel_repeats_nothing() -> None:
    config = json.loads(service_config(health_checks=True))
    assert config == {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}
    assert "healthCheckConfig" not in json.loads(service_config(health_checks=False))
