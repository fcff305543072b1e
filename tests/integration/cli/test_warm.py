"""`entresol warm`: what was hot before is there again, before anybody asks for it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import Cli

from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.errors import ConfigurationError, UnavailableError
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database

USERS = [f"users/u{number:03}" for number in range(200)]
INSERT = (
    "INSERT INTO users (name, create_time, update_time) "
    "SELECT 'users/u' || lpad(i::text, 3, '0'), now(), now() FROM generate_series(0, 199) i"
)


@dataclasses.dataclass(frozen=True)
class WarmCli(Cli):
    """Commands that know the cache."""

    cache: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            **super().environment,
            "ENTRESOL_CACHE_URL": self.cache,
            "ENTRESOL_CACHE_PREFIX": self.database.name,
            "ENTRESOL_RELAY_SLOT": self.database.name,
            "ENTRESOL_DATABASE_READ": " ".join(self.database.read_urls),
        }


@pytest.fixture
def warm(database: Database, cache_url: str, tmp_path: Path) -> WarmCli:
    asyncio.run(database.psql(INSERT))
    asyncio.run(database.settle())
    return WarmCli(tmp_path, database, cache_url)


@pytest.fixture
def served(warm: WarmCli) -> Iterator[RunningPlatform]:
    with RunningPlatform(Settings.load(warm.environment, relay_tick_s=0.02, listen="127.0.0.1:0")) as running:
        yield running


def read(served: RunningPlatform, *names: str) -> list[str]:
    """Return who answered for each name."""
    records = served.platform.records
    found = served.run(records.get(served.platform.model.by_message["stories.v1.User"], names))
    return [item.answered_by.partition(":")[0] for item in found]


def forget(served: RunningPlatform, *names: str) -> None:
    entries = served.platform.records.entries
    assert entries is not None
    served.run(
        entries.connection.execute(("DEL", *(entries.layout.place("users", name).entry for name in names)))
    )


def hot(served: RunningPlatform, *names: str) -> None:
    for _ in range(40):
        read(served, *names)


@pytest.fixture
def lfu(servers: EmbeddedServers) -> Iterator[None]:
    """Let Redis count how often an entry is used, and count every use."""
    for name, value in (("maxmemory-policy", "volatile-lfu"), ("lfu-log-factor", "0")):
        asyncio.run(servers.redis.command("CONFIG", "SET", name, value))
    yield
    for name, value in (("maxmemory-policy", "volatile-lru"), ("lfu-log-factor", "10")):
        asyncio.run(servers.redis.command("CONFIG", "SET", name, value))


def test_what_was_cached_is_saved_most_used_first_and_comes_back(
    lfu: None, warm: WarmCli, served: RunningPlatform
) -> None:
    read(served, *USERS[:150], "users/nobody")
    hot(served, *USERS[40:50])
    facts = warm.json("warm", "hot.txt", "--save", "--limit", "100")
    assert (facts["saved"], facts["cached"]) == (100, 151)
    lines = (warm.folder / "hot.txt").read_text().splitlines()
    assert set(lines[:10]) == {f"stories.v1.User {name}" for name in USERS[40:50]}
    forget(served, *USERS)
    facts = warm.json("warm", "hot.txt")
    assert facts["loaded"] + facts["unknown"] + facts["present"] == 100
    assert facts["present"] <= 1  # nobody is still known to be none
    assert set(read(served, *USERS[40:50])) == {"cache"}


def test_a_server_that_does_not_count_is_asked_how_long_ago(warm: WarmCli, served: RunningPlatform) -> None:
    read(served, *USERS[:5])
    assert warm.json("warm", "hot.txt", "--save")["saved"] == 5


def test_what_is_there_is_passed_over_and_what_is_nowhere_is_counted(
    warm: WarmCli, served: RunningPlatform
) -> None:
    read(served, *USERS[:30])
    lines = [
        *(f"stories.v1.User {name}" for name in USERS[:120]),
        "stories.v1.User users/nobody",
        "stories.v1.Gone x/y",
        "",
        "?",
    ]
    file = warm.write("names.txt", "\n".join(lines))
    first = warm.json("warm", file, "--rate", "100000")
    assert (first["loaded"], first["present"], first["unknown"]) == (90, 30, 4)
    again = warm.json("warm", file)
    assert (again["loaded"], again["present"], again["unknown"]) == (0, 120, 4)
    forget(served, *USERS[100:110])
    assert "10 loaded, 110 were cached, 4 unknown" in warm.run("warm", file).stdout
    assert set(read(served, *USERS[:120])) == {"cache"}


def test_a_rate_bounds_what_is_loaded(warm: WarmCli, served: RunningPlatform) -> None:
    file = warm.write("names.txt", "\n".join(f"stories.v1.User {name}" for name in USERS))
    facts = warm.json("warm", file, "--rate", "200")
    assert facts["loaded"] == 200
    assert facts["seconds"] >= 0.8
    assert warm.json("warm", file, "--rate", "200")["seconds"] < facts["seconds"]


def test_a_cache_that_takes_nothing_is_told_and_so_is_none(warm: WarmCli) -> None:
    file = warm.write("names.txt", f"stories.v1.User {USERS[0]}")
    error: Any = warm.run("warm", file, fails=True).exception
    assert isinstance(error, UnavailableError)
    assert "no `entresol relay` runs" in error.message
    nowhere = dataclasses.replace(warm, cache="unix:///nowhere")
    assert isinstance(nowhere.run("warm", "hot.txt", "--save", fails=True).exception, UnavailableError)
    none = dataclasses.replace(warm, cache="")
    assert isinstance(none.run("warm", file, fails=True).exception, ConfigurationError)
    assert isinstance(warm.run("warm", "missing.txt", fails=True).exception, OSError)
