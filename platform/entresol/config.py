"""Settings: one frozen value, read from the environment and one file, once, at start.

Every setting is an environment variable `ENTRESOL_<NAME>` or a key of the same lower-case name in the TOML file that
`ENTRESOL_CONFIG` names; the environment wins. A key that is no setting is refused; a variable is only warned of, for an
environment also holds what others put there. Where neither names a store, they are those of the `entresol up` that runs
in this folder, if one does. This is the only module that reads the environment.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from entresol.errors import ConfigurationError
from entresol.setting_values import convert

log = logging.getLogger(__name__)
# What `entresol up` tells the other commands in its folder; it is gone when the stores are.
STORES = Path(".entresol", "stores.toml")
_STORES = frozenset({"database_write", "database_read", "cache_url"})

_T = TypeVar("_T")
# What Kubernetes tells every container about a service that is named `entresol` or `entresol-…`.
_SERVICE_LINK = re.compile(
    r"ENTRESOL_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


def _setting(default: _T, meaning: str) -> _T:
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process of the platform is told. Times are seconds and end in `_s`; sizes are bytes and say so."""

    protos: str = _setting("protos", "Where the protos are: a folder of .proto files, or a descriptor set.")
    migrations: str = _setting(
        "migrations",
        "Where migrations are: one folder for each set of tables. The platform's own are always applied first.",
    )
    functions: str = _setting(
        "",
        "Modules, files or folders with custom methods, with commas. Empty: every functions.py below the protos.",
    )

    database_write: str = _setting(
        "postgresql://localhost/entresol",
        "The primary: postgresql://user:password@host:port/database. Several hosts may be given with commas; the "
        "one that accepts writes is used.",
    )
    database_read: tuple[str, ...] = _setting(
        (), "The replicas: such URLs, separated by white space. Empty: the primary is read."
    )
    database_analytics: str = _setting(
        "",
        "The server that batches read, a standby of the primary. Empty: a replica; the primary only without any.",
    )
    database_jobs: str = _setting(
        "",
        "The primary of a cluster that has the queue and the schedules, and nothing else. Empty: the primary has them.",
    )
    database_write_connections: int = _setting(8, "Connections to the primary, at most.")
    database_read_connections: int = _setting(8, "Connections to each replica, at most.")
    database_loads_max: int = _setting(
        8, "Queries at once for records of one resource that the cache does not have."
    )
    database_connect_timeout_s: float = _setting(3.0, "Longest time to connect to a server of the database.")
    database_wait_s: float = _setting(
        1.0,
        "Longest wait for a free connection, for a primary that is away, and for a replica with what a session saw.",
    )
    database_statement_timeout_s: float = _setting(
        30.0, "Longest time of a statement, when its call has no deadline of its own."
    )
    replica_poll_s: float = _setting(
        0.1, "Time between two looks at how far a replica is, and which server is the primary."
    )
    replica_lag_max_s: float = _setting(10.0, "A replica that is further behind answers no reads.")
    replica_failures_max: int = _setting(
        3,
        "Reads that wait for a replica which has gone wait for so many looks more; then another answers them.",
    )

    cache_url: str = _setting(
        "",
        "Redis or Valkey: redis://host:port/db, unix://path, redis+sentinel://host:port,host:port/NAME or "
        "redis+cluster://host:port,host:port. Empty: no cache.",
    )
    cache_prefix: str = _setting(
        "entresol",
        "What the cache's keys begin with. It, partitions and buckets are alike for all processes of a fleet.",
    )
    cache_partitions: int = _setting(
        1, "Parts of the cache that fail over as one: 1 for a single server or Sentinel."
    )
    cache_buckets: int = _setting(
        4096,
        "Parts of a partition; of each the newest change is remembered, for records that have no entry.",
    )
    cache_timeout_s: float = _setting(0.25, "Longest wait for the cache; then it is as if it had nothing.")
    cache_lease_s: float = _setting(
        2.0, "How long the process that reads a record is trusted to do it for all the others."
    )
    cache_fence_s: float = _setting(
        10.0,
        "How long a write of a STRONG resource may keep readers from filling the cache, if it dies before its commit "
        "is relayed. At least twice cache_lease_s, and longer than a commit takes.",
    )
    cache_breaker_failures: int = _setting(
        5, "After so many failures in a row the cache is not asked at all."
    )
    cache_breaker_reset_s: float = _setting(
        1.0, "Time between two calls that then try whether it is there again."
    )

    near_age_max_s: float = _setting(
        1.0,
        "Age of the copies that each process keeps of hot entries: no command for a hit, which may be older by so "
        "much. 0: none.",
    )
    near_bytes_max: int = _setting(64 * 1024 * 1024, "Memory for the copies of one process.")

    relay_slot: str = _setting(
        "entresol",
        "The relay's replication slot: of the relays of one database, the one that holds it works.",
    )
    relay_publication: str = _setting("entresol", "The publication that names the tables to relay.")
    relay_tick_s: float = _setting(0.1, "How often the relay tells how far it is when nothing changes.")
    relay_lease_s: float = _setting(
        5.0, "A relay that is frozen or cut off for longer loses its work to one that stands by."
    )
    relay_refill: bool = _setting(
        True, "The relay reads again what was dropped because it changed around the cache."
    )
    relay_retain_s: float = _setting(
        60.0, "How far the slot stays behind, so that what a fail-over of the cache lost is relayed again."
    )

    listen: str = _setting("127.0.0.1:9000", "host:port of gRPC; port 0 takes a free one.")
    transport: str = _setting("http2", "What speaks gRPC: http2, or grpcio, at several times the cost.")
    tls_certificate: str = _setting(
        "", "PEM file: with a certificate and its key, every port speaks TLS alone."
    )
    tls_key: str = _setting("", "PEM file: the certificate's key.")
    tls_client_ca: str = _setting(
        "", "PEM file: with it, clients must have a certificate that it signed (mTLS)."
    )
    reuse_port: bool = _setting(
        False, "Share the port with other servers of this machine, as `serve --workers` does."
    )
    web_listen: str = _setting("", "host:port of Connect, gRPC-Web and REST. Empty: none.")
    web_origins: tuple[str, ...] = _setting(
        (),
        "Origins of pages that browsers may let call the web's port, separated by white space; *: every one.",
    )
    keepalive_s: float = _setting(
        60.0,
        "Silence after which a gRPC client is asked whether it is there. 0: never. On the web's port it and "
        "keepalive_timeout_s together are how long a connection may be idle.",
    )
    keepalive_timeout_s: float = _setting(20.0, "Longest wait for the answer.")
    stall_max_s: float = _setting(
        30.0, "How long a client may leave its answers unread (http2 and the web's port)."
    )
    connection_age_max_s: float = _setting(
        1800.0, "Age at which gRPC clients are asked to connect again, to new machines too. 0: never."
    )
    deadline_default_s: float = _setting(15.0, "Time for a call that brings no deadline, and is no stream.")
    deadline_max_s: float = _setting(60.0, "Longest time for any call that is no stream.")
    message_size_bytes_max: int = _setting(4 * 1024 * 1024, "Largest message of a request.")
    concurrency_max: int = _setting(
        1024, "Calls at once in one process; more are refused with RESOURCE_EXHAUSTED."
    )
    drain_delay_s: float = _setting(
        0.0,
        "How long a server that is told to stop goes on as before, but for saying that it is not ready, so that "
        "balancers notice: at least their time between checks, times the checks that must fail.",
    )
    drain_s: float = _setting(5.0, "How long running calls may take to finish when the server stops.")
    batch_size_max: int = _setting(1000, "Records in one batch method, at most.")
    request_id_ttl_s: float = _setting(
        3600.0, "How long a request_id is remembered: its repetition is answered as the first was."
    )
    token_keys: tuple[str, ...] = _setting(
        ("entresol-known-to-everybody",),
        "Seal page tokens and session tokens, separated by white space: the first makes them, all open them; each of "
        "at least 16 bytes, the same on every server of a fleet. A token grants nothing, so a known key opens "
        "nothing; it lets callers make tokens up.",
    )

    jobs_concurrency: int = _setting(100, "Jobs that one worker runs at once, at most.")
    jobs_processes: int = _setting(
        0,
        "Processes of one worker for jobs that are isolated, at most. Each has connections of its own, two to a server "
        "of the database. 0: one for each CPU.",
    )
    jobs_process_size_bytes_max: int = _setting(
        0, "Memory of one such process; its function meets a MemoryError beyond. 0: as much as there is."
    )
    jobs_lease_s: float = _setting(
        15.0, "How long the jobs of a worker that is heard of no more stay its own; then others run them."
    )
    jobs_kept_days: int = _setting(
        7,
        "How long the operations of jobs that succeeded or were cancelled are kept, and ticks of schedules.",
    )
    jobs_poll_s: float = _setting(0.25, "How often a worker looks for jobs that nobody told it of.")
    jobs_relayed: bool = _setting(
        False,
        "Workers take jobs from RabbitMQ, where `entresol relay-jobs` puts them, not from the database.",
    )
    jobs_relay_ahead: int = _setting(
        1000,
        "Jobs of a queue that wait in RabbitMQ, at most: they are served as they came, whatever is more urgent.",
    )
    jobs_relay_again_s: float = _setting(
        30.0, "After so long a job that was relayed and has not begun is relayed again."
    )

    events_slot: str = _setting(
        "entresol_events", "The replication slot of `entresol publish`: of those of one database, one works."
    )
    events_publication: str = _setting(
        "entresol_events", "The publication that names the tables whose changes become events."
    )
    events_exchange: str = _setting("entresol.events", "The topic exchange of RabbitMQ that events go to.")

    rabbitmq_urls: tuple[str, ...] = _setting(
        (),
        "Nodes of RabbitMQ: amqps://user:password@host:port/virtual-host, separated by white space; the first one "
        "that answers is used. Each fleet has a virtual host of its own.",
    )
    rabbitmq_timeout_s: float = _setting(10.0, "Longest wait for RabbitMQ; then it is taken to be away.")

    batches_sql_rows_max: int = _setting(
        5_000_000,
        "A batch that reads more rows, by the planner's estimate, is done by DuckDB, not by PostgreSQL.",
    )
    batches_duckdb_rows_max: int = _setting(
        200_000_000, "A batch that reads more rows is done by Dask, else by Spark, where it is set."
    )
    batches_dask: str = _setting(
        "", "Address of the Dask cluster's scheduler: tls://host:port or tcp://host:port. Empty: none."
    )
    batches_spark: str = _setting(
        "", "Address of the Spark Connect server: sc://host:port, maybe with /;use_ssl=true. Empty: none."
    )
    batches_memory_bytes: int = _setting(
        1024**3, "Memory for DuckDB in one batch; what does not fit goes to batches_folder."
    )
    batches_folder: str = _setting(
        "", "Folder for files of batches. Empty: that of the system's temporary files."
    )

    postgres_bin: str = _setting(
        "",
        "Folder of the embedded PostgreSQL's programs (`entresol up`, `demo`, tests). Empty: the newest of the "
        "system, else the wheel's.",
    )
    redis_bin: str = _setting("", "Program of the embedded Redis. Empty: the system's, else the wheel's.")

    haproxy_bin: str = _setting("", "Program of HAProxy. Empty: the system's.")

    admin_listen: str = _setting(
        "",
        "host:port of the process's own pages, such as /readyz and /metrics, for operators alone. Empty: none.",
    )
    console: str = _setting(
        "off",
        "Pages for operators below /console/ on the admin port: off, read or write, which is for loopback addresses; "
        "there `entresol up` and the demo have read.",
    )
    start_wait_s: float = _setting(
        0.0, "How long a process that starts waits for a database that is away, or not migrated yet."
    )
    log_format: str = _setting("", "Log lines as json or text. Empty: text on a terminal, else json.")
    log_calls: str = _setting(
        "", "A log line for each call (all), or for each that failed (errors). Empty: none."
    )
    telemetry: bool = _setting(
        False, "Send traces and metrics by OTLP, as the standard OTEL_* variables say."
    )

    @property
    def queue_url(self) -> str:
        """Return where the queue is."""
        return self.database_jobs or self.database_write

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        **overrides: Any,
    ) -> Settings:
        """Return the settings of this process, or of one with this `environment` and nothing else.

        `defaults` are a command's own, for what nobody has set; `overrides` that are not None win over everything. A
        variable `ENTRESOL_*` that is no setting is warned of in the log.

        Raises:
            ConfigurationError: a value has the wrong type, or the file holds a key that is not a setting.
        """
        types = get_type_hints(cls)
        values = {name: value for name, (value, _) in given(environment).items()}
        _warn_of_unknown(os.environ if environment is None else environment)
        values = {**(defaults or {}), **values}
        values.update({key: value for key, value in overrides.items() if value is not None})
        unknown = sorted(set(values) - set(types))
        if unknown:
            raise ConfigurationError(
                f"{unknown[0]} is not a setting; the settings are listed by `entresol serve --help-settings`",
                metadata={"setting": unknown[0]},
            )
        return cls(**{name: convert(name, types[name], value) for name, value in values.items()})


def given(environment: Mapping[str, str] | None = None) -> dict[str, tuple[Any, str]]:
    """Return what the environment and the files say of settings, as it stands there, each with which of them says it.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    stores = STORES if environment is None else None
    environment = os.environ if environment is None else environment
    values: dict[str, tuple[Any, str]] = {}
    if path := environment.get("ENTRESOL_CONFIG"):
        values.update({name: (value, path) for name, value in _read_file(Path(path)).items()})
    for item in dataclasses.fields(Settings):
        text = environment.get(variable(item.name))
        if text is not None:
            values[item.name] = (text, variable(item.name))
    # All of them or none: the cache of one database must not stand before another.
    if stores is not None and _is_ours(stores) and _STORES.isdisjoint(values):
        values.update({name: (value, str(stores)) for name, value in _read_file(stores).items()})
    return values


@dataclass(frozen=True, slots=True)
class UnknownVariable:
    """A variable ENTRESOL_* that is no setting, and the one that may be meant, or nothing."""

    name: str
    nearest: str


def unknown_variables(environment: Mapping[str, str] | None = None) -> list[UnknownVariable]:
    """Return the variables of this environment, or of this process's, that are meant to be settings and are none."""
    known = ["CONFIG", *(item.name.upper() for item in dataclasses.fields(Settings))]
    found = []
    for name in sorted(os.environ if environment is None else environment):
        short = name.removeprefix("ENTRESOL_")
        if short not in (name, *known) and not _SERVICE_LINK.fullmatch(name):
            near = difflib.get_close_matches(short, known, 1)
            found.append(UnknownVariable(name, f"ENTRESOL_{near[0]}" if near else ""))
    return found


def _warn_of_unknown(environment: Mapping[str, str]) -> None:
    for one in unknown_variables(environment):
        hint = (
            f"did you mean {one.nearest}?" if one.nearest else "`entresol serve --help-settings` lists them"
        )
        log.warning("%s is not a setting and is ignored; %s", one.name, hint)


def environment_with(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings in it, for a process that it starts."""
    return {**os.environ, **{variable(name): value for name, value in settings.items()}}


def variable(name: str) -> str:
    """Return the name of a setting's variable."""
    return f"ENTRESOL_{name.upper()}"


def _is_ours(path: Path) -> bool:
    """Tell whether this user wrote the file: a link that a kill left leads to where anybody may put one."""
    try:
        return path.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"ENTRESOL_CONFIG: {path} cannot be read: {error}") from error
