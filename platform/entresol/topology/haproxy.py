"""The configuration as text: a port for the platform, one for reads, one for writes, one for who operates it.

It is written for HAProxy 2.6 and newer, each line for a reason that README.md beside this file gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from entresol.schema.model import Model
from entresol.topology import checks
from entresol.topology.methods import Paths
from entresol.topology.servers import Endpoint
from entresol.topology.settings import DatabaseCheck, Databases, Platforms, Topology

_HEAD = """\
# Written by `entresol topology`, from the protos: write it again when they change.
global
    log stdout format raw local0 notice
    stats timeout 30s
"""
_DEFAULTS = """\
defaults
    log global
    # A connection that cannot be made, or whose server went before it got the request, is tried elsewhere at once.
    retries 3
    option redispatch 1
    timeout connect 500ms
    timeout check 800ms
    timeout queue 2s
    timeout client 75s
    timeout server 30s
"""
_ONCE = """\
# Where a server goes away before it answers, clients of HTTP/2 are told REFUSED_STREAM, and those of gRPC may then send
# the request again by themselves, as if no server had seen it. The first request of a connection of HTTP/1.1 is
# answered with 502 instead, which is UNAVAILABLE: so what is to be sent once goes around by a connection of its own.
"""
# An error of gRPC is a head and nothing more. On its way it could get an empty body, which clients do not take.
_HEAD_ALONE = "http-response set-header content-length 0 if { res.hdr(grpc-status) -m found }"
_RESOLVERS = """\
resolvers dns
    parse-resolv-conf
    accepted_payload_size 8192
    hold valid 1s
    hold obsolete 5s
"""
_LOOKED_UP = "resolvers dns resolve-prefer ipv4 init-addr libc,none"
# Not 1, the default: half of it would be none at all for who lowers it by hand.
_WEIGHT = "weight 100"
_EACH_S = "inter 1s fastinter 250ms fall 2"
_PRIMARY_CONNECTIONS_MAX, _FALLBACK_CONNECTIONS_MAX = 80, 20
# A connection to a server of the database that is no longer what it was must not be used on.
_CUT = "on-marked-down shutdown-sessions"


def configuration(topology: Topology, model: Model) -> str:
    """Return the file. What may be sent again comes from the model's methods."""
    sections = [_HEAD + _socket(topology), _DEFAULTS]
    if any(_names(topology)):
        sections.append(_RESOLVERS)
    if topology.platforms is not None and topology.platforms.servers:
        sections += _platform(topology, topology.platforms, Paths.of(model))
    if topology.databases is not None and topology.databases.servers:
        sections += _databases(topology, topology.databases)
    return "\n".join([*sections, _admin(topology)])


def _socket(topology: Topology) -> str:
    return f"    stats socket {topology.socket} mode 600 level admin\n" if topology.socket else ""


def _names(topology: Topology) -> Iterator[bool]:
    for group in (topology.platforms, topology.databases):
        if group is not None:
            yield from (server.is_name for server in group.servers)


def _platform(topology: Topology, platforms: Platforms, paths: Paths) -> list[str]:
    call_s = f"timeout server {topology.call_s_max + 5:g}s"
    once = f"abns@entresol-once-{topology.listen.platform}"
    check = checks.readiness() if platforms.admin_port else checks.grpc_health()
    servers = list(_platform_servers(platforms))
    return [
        _section(
            "frontend fe_platform",
            [
                "mode http",
                f"bind {topology.listen.platform} proto h2",
                *_matches("is_stream", paths.streams),
                *_repeats(paths),
                "default_backend be_platform",
            ],
        ),
        _section(
            "backend be_platform",
            [
                *("mode http", "balance leastconn", "http-reuse always", call_s),
                *("retry-on all-retryable-errors", "http-request disable-l7-retry if { fe_name fe_once }"),
                _HEAD_ALONE,
                *check,
                *servers,
            ],
        ),
        _section(
            "backend be_platform_stream",
            [
                "mode http",
                "balance leastconn",
                f"timeout server {topology.stream_s_max:g}s",
                *check,
                *servers,
            ],
        ),
        _ONCE
        + _section(
            "backend be_once", ["mode http", "option http-server-close", call_s, f"server once {once}"]
        ),
        _section("frontend fe_once", ["mode http", f"bind {once}", "default_backend be_platform"]),
    ]


def _repeats(paths: Paths) -> Iterator[str]:
    """Yield the lines by which a request may be sent again only where it cannot act twice.

    A write may, where the balancer itself has read the request's id in a message that it has whole and uncompressed:
    what it does not find is sent once.
    """
    yield from _matches("is_repeatable", paths.repeatable)
    allowed = ["is_repeatable"]
    if paths.keyed:
        yield "acl is_plain req.body,bytes(0,1),hex -m str 00"
    for number, keyed in paths.keyed.items():
        yield from _matches(f"may_have_id_{number}", keyed)
        yield f"acl has_id_{number} req.body,ungrpc({number}) -m len gt 0"
        yield f"http-request wait-for-body time 2s if may_have_id_{number}"
        allowed.append(f"may_have_id_{number} is_plain has_id_{number}")
    yield "use_backend be_platform_stream if is_stream"
    yield f"use_backend be_once unless {' or '.join(allowed)}"


def _matches(name: str, paths: Sequence[str]) -> list[str]:
    return [f"acl {name} path -m str {path}" for path in paths]


def _platform_servers(platforms: Platforms) -> Iterator[str]:
    own = f" port {platforms.admin_port}" if platforms.admin_port else ""
    yield f"default-server proto h2 {_WEIGHT} slowstart 10s check{own} {_EACH_S} rise 2"
    if platforms.discovered:
        (name,) = platforms.servers
        yield f"server-template p {platforms.slots_max} {name} {_LOOKED_UP}"
    else:
        yield from _servers("p", platforms.servers)


def _servers(prefix: str, servers: Iterable[Endpoint]) -> Iterator[str]:
    for number, server in enumerate(servers, start=1):
        port = f" port {server.check_port}" if server.check_port else ""
        looked_up = f" {_LOOKED_UP}" if server.is_name else ""
        yield f"server {prefix}{number} {server}{port}{looked_up}"


def _databases(topology: Topology, databases: Databases) -> list[str]:
    primary, replica = _database_checks(databases)
    writers, readers = databases.servers, databases.servers
    if databases.check is DatabaseCheck.SERVICE:
        writers, readers = databases.servers[:1], databases.servers[1:]
    port = f" port {databases.check_port}" if databases.check is DatabaseCheck.PATRONI else ""
    default = f"default-server {_WEIGHT} check{port} {_EACH_S} rise 1 {_CUT}"
    idle = ["timeout client 30m"]
    session = ["mode tcp", "timeout server 30m"]
    return [
        _section(
            "frontend fe_writes",
            ["mode tcp", f"bind {topology.listen.writes}", *idle, "default_backend be_primary"],
        ),
        _section(
            "backend be_primary",
            [
                *(*session, *primary, f"{default} maxconn {_PRIMARY_CONNECTIONS_MAX}"),
                *_servers("pg", writers),
            ],
        ),
        _section(
            "frontend fe_reads",
            [
                *("mode tcp", f"bind {topology.listen.reads}", *idle),
                "use_backend be_replicas if { nbsrv(be_replicas) gt 0 }",
                "default_backend be_read_fallback",
            ],
        ),
        _section(
            "backend be_replicas",
            [
                *(*session, "balance leastconn", *replica, f"{default} slowstart 10s"),
                *_servers("pg", readers),
            ],
        ),
        _section(
            "backend be_read_fallback",
            [
                *(*session, *primary, f"{default} maxconn {_FALLBACK_CONNECTIONS_MAX}"),
                *_servers("pg", writers),
            ],
        ),
    ]


def _database_checks(databases: Databases) -> tuple[list[str], list[str]]:
    """Return how a primary, and how a replica that is near enough, is told from all others."""
    match databases.check:
        case DatabaseCheck.PATRONI:
            return checks.patroni("/primary"), checks.patroni(f"/replica?lag={databases.lag_size_max}")
        case DatabaseCheck.SERVICE:
            return [], []  # that it can be connected to: who is behind the name, its owner knows
        case DatabaseCheck.SQL:
            parts = (databases.role, databases.database, databases.lag_s_max)
            return checks.sql(*parts, "primary"), checks.sql(*parts, "replica")


def _admin(topology: Topology) -> str:
    return _section(
        "frontend admin",
        [
            *("mode http", f"bind {topology.listen.admin}", "monitor-uri /healthz"),
            *("stats enable", "stats uri /stats", "stats refresh 5s"),
            "http-request use-service prometheus-exporter if { path /metrics }",
        ],
    )


def _section(head: str, lines: Iterable[str]) -> str:
    return "".join([f"{head}\n", *(f"    {line}\n" for line in lines)])
