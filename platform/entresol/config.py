"""Settings: one frozen value, read from the environment and one file, once, at start.

Every setting is an environment variable `ENTRESOL_<NAME>` or a key of the same lower-case name in the TOML file that
`ENTRESOL_CONFIG` names; the environment wins. This is the only module that reads the environment.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from entresol.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process of the platform is told. Times are seconds, sizes bytes, unless the name says otherwise."""

    # Where the protos are: a folder of .proto files, or a descriptor set.
    protos: str = "protos"
    # Where migrations are: one folder for each set of tables. The platform's own are always applied first.
    migrations: str = "migrations"
    # Modules, files or folders with custom methods, with commas. Empty: every functions.py beside the protos.
    functions: str = ""

    # PostgreSQL: `postgresql://user:password@host:port/database`. Several primaries' hosts may be given with commas;
    # the one that accepts writes is used. Replicas: a list separated by white space; empty reads from the primary.
    database_write: str = "postgresql://localhost/entresol"
    database_read: tuple[str, ...] = ()
    database_write_connections: int = 8
    database_read_connections: int = 8  # per replica
    database_loads_max: int = 8  # queries at once for records of one resource that the cache does not have
    database_connect_timeout_s: float = 3.0
    database_wait_s: float = 1.0  # longest wait for a free connection
    database_statement_timeout_s: float = 30.0  # when the call has no deadline of its own
    replica_poll_s: float = 0.1
    replica_lag_max_s: float = 10.0
    replica_failures_max: int = 3

    # Redis or Valkey: `redis://host:port/db` or `unix://path`. Empty: no cache at all.
    cache_url: str = ""
    cache_prefix: str = "entresol"
    cache_partitions: int = 1  # units that fail over together: 1 for a single server or Sentinel
    cache_buckets: int = 4096  # per partition
    cache_timeout_s: float = 0.25
    cache_lease_s: float = 2.0
    # How long a write of a STRONG resource may keep readers from filling the cache, if it dies before its commit is
    # relayed. At least twice `cache_lease_s`, and longer than a commit takes.
    cache_fence_s: float = 10.0
    cache_breaker_failures: int = 5
    cache_breaker_reset_s: float = 1.0

    # Copies that each process keeps of hot entries: no command for a hit, which may be older by the age. 0: none.
    near_age_max_s: float = 1.0
    near_bytes_max: int = 64 * 1024 * 1024

    # The relay: one per database, whichever process holds the slot.
    relay_slot: str = "entresol"
    relay_publication: str = "entresol"
    relay_tick_s: float = 0.1
    relay_lease_s: float = (
        5.0  # a relay that is frozen or cut off for longer loses its work to one that stands by
    )
    relay_refill: bool = True  # read again what was dropped because it changed around the cache
    relay_retain_s: float = 60.0  # how far the slot stays behind, so that a cache fail-over can be replayed

    # The server.
    listen: str = "127.0.0.1:9000"
    transport: str = "grpcio"  # or http2: the fast one
    tls_certificate: str = ""  # PEM files: with a certificate and its key, every port speaks TLS alone
    tls_key: str = ""
    tls_client_ca: str = ""  # with it, clients must have a certificate that it signed (mTLS)
    reuse_port: bool = False  # share the port with other servers of this machine, as `serve --workers` does
    web_listen: str = ""  # host:port for Connect, gRPC-Web and REST; empty: none
    web_origins: tuple[str, ...] = ()  # of pages that browsers may let call it; `*`: every one
    keepalive_s: float = 60.0  # silence after which a client is asked whether it is there; 0: never (http2)
    keepalive_timeout_s: float = 20.0
    stall_max_s: float = 30.0  # how long a client may leave its answers unread (http2)
    connection_age_max_s: float = (
        1800.0  # then clients are asked to connect again, to new machines too; 0: never
    )
    deadline_default_s: float = 15.0
    deadline_max_s: float = 60.0
    message_size_bytes_max: int = 4 * 1024 * 1024
    concurrency_max: int = 1024  # calls at once; more are refused with RESOURCE_EXHAUSTED
    drain_s: float = 5.0
    batch_size_max: int = 1000
    request_id_ttl_s: float = 3600.0
    # Seal page tokens and session tokens: the first makes them, all open them; each of at least 16 bytes, the same on
    # every server of a fleet. A token grants nothing, so a known key opens nothing; it lets callers make tokens up.
    token_keys: tuple[str, ...] = ("entresol-known-to-everybody",)
    # Programs of the embedded servers (`entresol up`, `demo`, tests). Empty: the newest of the system, else the wheels.
    postgres_bin: str = ""  # folder
    redis_bin: str = ""  # program

    telemetry: bool = False  # OTLP by the standard OTEL_* variables

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Return the settings of this process.

        Raises:
            ConfigurationError: a value has the wrong type, or the file holds a key that is not a setting.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        path = environment.get("ENTRESOL_CONFIG")
        if path:
            values.update(_read_file(Path(path)))
        types = get_type_hints(cls)
        for item in dataclasses.fields(cls):
            text = environment.get(f"ENTRESOL_{item.name.upper()}")
            if text is not None:
                values[item.name] = text
        values.update({key: value for key, value in overrides.items() if value is not None})
        unknown = sorted(set(values) - set(types))
        if unknown:
            raise ConfigurationError(
                f"{unknown[0]} is not a setting; the settings are listed by `entresol serve --help-settings`",
                metadata={"setting": unknown[0]},
            )
        return cls(**{name: _convert(name, types[name], value) for name, value in values.items()})


def environment_with(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings in it, for a process that it starts."""
    return {**os.environ, **{f"ENTRESOL_{name.upper()}": value for name, value in settings.items()}}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"ENTRESOL_CONFIG: {path} cannot be read: {error}") from error


def _convert(name: str, kind: Any, value: Any) -> Any:
    """Return `value` as the setting's type; text comes from the environment, the rest from TOML."""
    try:
        if kind is bool:
            if isinstance(value, str):
                return {
                    "true": True,
                    "1": True,
                    "yes": True,
                    "false": False,
                    "0": False,
                    "no": False,
                    "": False,
                }[value.lower()]
            return bool(value)
        if kind in (int, float):
            return kind(value)
        if kind is str:
            return str(value)
        return tuple(value.split()) if isinstance(value, str) else tuple(str(item) for item in value)
    except (ValueError, KeyError, TypeError) as error:
        wanted = getattr(kind, "__name__", "list of text")
        raise ConfigurationError(
            f"setting {name}: {value!r} is not a {wanted}", metadata={"setting": name}
        ) from error
