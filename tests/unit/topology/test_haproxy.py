"""What the configuration says, line by line; that HAProxy takes it is an integration test's to show."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.errors import ConfigurationError
from entresol.schema.load import load
from entresol.schema.model import Model
from entresol.topology import (
    DatabaseCheck,
    Databases,
    Endpoint,
    Platforms,
    Topology,
    configuration,
    endpoints,
)

ROOT = Path(__file__).resolve().parents[3]
TWO = Platforms(endpoints("10.0.0.1:9000,10.0.0.2:9000"))
THREE = endpoints("10.0.1.1:5432,10.0.1.2:5432,10.0.1.3:5432/8009")
SERVICES = endpoints("db-rw.shop.svc:5432,db-ro.shop.svc:5432")


@pytest.fixture(scope="session")
def stories() -> Model:
    return load(compile_protos(ROOT / "protos"))


def sections(topology: Topology, model: Model) -> dict[str, list[str]]:
    """Return the lines of each section by its head, without comments."""
    parsed: dict[str, list[str]] = {}
    for line in configuration(topology, model).splitlines():
        if line and not line.startswith((" ", "#")):
            lines = parsed.setdefault(line, [])
        elif line.strip() and not line.strip().startswith("#"):
            lines.append(line.strip())
    return parsed


def databases(check: DatabaseCheck, **changes: object) -> Topology:
    servers = SERVICES if check is DatabaseCheck.SERVICE else THREE
    return Topology(databases=replace(Databases(servers, check), **changes))  # type: ignore[arg-type]


def test_calls_are_balanced_by_load_and_streams_apart(stories: Model) -> None:
    found = sections(Topology(platforms=TWO), stories)
    calls, streams = found["backend be_platform"], found["backend be_platform_stream"]
    assert {"balance leastconn", "timeout server 65s"} <= {*calls}
    assert "timeout server 3600s" in streams
    assert not any(line.startswith("retry-on") for line in streams)
    for lines in (calls, streams):
        assert [line for line in lines if line.startswith("server ")] == [
            "server p1 10.0.0.1:9000",
            "server p2 10.0.0.2:9000",
        ]
        (default,) = (line for line in lines if line.startswith("default-server"))
        assert "proto h2" in default
        assert "weight 100" in default
        assert "shutdown-sessions" not in default  # it would end calls of a server that drains


def test_a_write_may_be_sent_again_only_where_its_key_was_read(stories: Model) -> None:
    found = sections(Topology(platforms=TWO), stories)
    lines = found["frontend fe_platform"]
    stream, rule = (line for line in lines if line.startswith("use_backend"))
    assert stream == "use_backend be_platform_stream if is_stream"
    alternatives = rule.removeprefix("use_backend be_once unless ").split(" or ")
    assert alternatives[0] == "is_repeatable"
    for alternative in alternatives[1:]:
        path, plain, key = alternative.split()
        number = path.rpartition("_")[2]
        assert (path, plain, key) == (f"may_have_id_{number}", "is_plain", f"has_id_{number}")
        assert f"acl {key} req.body,ungrpc({number}) -m len gt 0" in lines
        assert any(line.startswith(f"http-request wait-for-body time 2s if {path}") for line in lines)
    assert "acl is_repeatable path -m str /stories.v1.StoryService/GetStory" in lines
    assert "acl may_have_id_3 path -m str /stories.v1.StoryService/CreateStory" in lines
    assert not any(line.endswith("/VoteStory") for line in lines)
    assert "http-request disable-l7-retry if { fe_name fe_once }" in found["backend be_platform"]


def test_a_platform_with_an_admin_port_is_asked_there_and_drains_before_it_is_down(stories: Model) -> None:
    lines = sections(Topology(platforms=replace(TWO, admin_port=9464)), stories)["backend be_platform"]
    assert {
        "http-check send meth GET uri /readyz",
        "http-check disable-on-404",
        "http-check expect status 200",
    } <= {*lines}
    assert any("check port 9464" in line for line in lines)


def test_a_headless_service_fills_as_many_slots_as_it_has_servers(stories: Model) -> None:
    service = Platforms((Endpoint("entresol-headless.shop.svc", 9000),), discovered=True, slots_max=7)
    found = sections(Topology(platforms=service), stories)
    assert "resolvers dns" in found
    (template,) = (line for line in found["backend be_platform"] if line.startswith("server-template"))
    assert template.startswith("server-template p 7 entresol-headless.shop.svc:9000 resolvers dns")


@pytest.mark.parametrize(
    ("check", "primary", "replica"),
    [
        (DatabaseCheck.PATRONI, "option httpchk OPTIONS /primary", "option httpchk OPTIONS /replica?lag=1MB"),
        (DatabaseCheck.SQL, "role=primary", "role=replica"),
        (DatabaseCheck.SERVICE, "db-rw.shop.svc", "db-ro.shop.svc"),
    ],
)
def test_writes_go_to_the_primary_and_reads_to_replicas_or_else_to_it(
    stories: Model, check: DatabaseCheck, primary: str, replica: str
) -> None:
    found = sections(databases(check), stories)
    assert "bind 127.0.0.1:9001" in found["frontend fe_reads"]
    assert "bind 127.0.0.1:9002" in found["frontend fe_writes"]
    assert "use_backend be_replicas if { nbsrv(be_replicas) gt 0 }" in found["frontend fe_reads"]
    assert "default_backend be_read_fallback" in found["frontend fe_reads"]
    for name, wanted, other in (
        ("be_primary", primary, replica),
        ("be_replicas", replica, primary),
        ("be_read_fallback", primary, replica),
    ):
        lines = found[f"backend {name}"]
        assert any(wanted in line for line in lines)
        assert not any(other in line for line in lines)
        assert any("on-marked-down shutdown-sessions" in line for line in lines)


def test_a_server_may_be_checked_at_a_port_of_its_own(stories: Model) -> None:
    lines = sections(databases(DatabaseCheck.PATRONI), stories)["backend be_primary"]
    assert any("check port 8008" in line for line in lines)
    assert "server pg3 10.0.1.3:5432 port 8009" in lines


def test_the_limit_of_lag_is_what_was_asked_for(stories: Model) -> None:
    lines = sections(databases(DatabaseCheck.SQL, lag_s_max=0.5), stories)["backend be_replicas"]
    sent = [re.fullmatch(r"tcp-check send-binary ([0-9a-f]+)", line) for line in lines]
    texts = [bytes.fromhex(match[1]) for match in sent if match]
    assert any(b"interval '0.5 s'" in text for text in texts)
    lines = sections(databases(DatabaseCheck.PATRONI, lag_size_max="16MB"), stories)["backend be_replicas"]
    assert "option httpchk OPTIONS /replica?lag=16MB" in lines


def test_what_is_not_asked_for_is_not_there(stories: Model) -> None:
    assert not any("fe_reads" in head for head in sections(Topology(platforms=TWO), stories))
    assert not any("platform" in head for head in sections(databases(DatabaseCheck.SQL), stories))
    assert "resolvers dns" not in sections(Topology(platforms=TWO), stories)
    admin = sections(Topology(platforms=TWO), stories)["frontend admin"]
    assert {"bind 127.0.0.1:8404", "monitor-uri /healthz", "stats uri /stats"} <= {*admin}


@pytest.mark.parametrize(
    "text", ["here", "here:", "here:0", "here:70000", "a b:1", "a:1/x", "-x:1", "#:1", "h:1/", "a;b:1"]
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no server"):
        Endpoint.parse(text)


def test_servers_are_read_as_people_write_them() -> None:
    assert endpoints("a-1.b:1, [::1]:2/3") == (Endpoint("a-1.b", 1), Endpoint("::1", 2, 3))
    assert [str(server) for server in endpoints("a:1,[::1]:2")] == ["a:1", "[::1]:2"]
    assert [server.is_name for server in endpoints("a:1,[::1]:2,10.0.0.1:3")] == [True, False, False]


def test_an_operator_has_two_names() -> None:
    with pytest.raises(ConfigurationError, match="two names"):
        Databases(THREE, DatabaseCheck.SERVICE)
