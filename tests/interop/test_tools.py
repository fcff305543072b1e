"""Tools that people try a server with: grpcurl, ghz and k6. They have no protos and learn all by reflection."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.interop.programs import BUILD_S, ROOT, built

from entresol.config import Settings, environment_with
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Databases, Migrate

RUN_S = 60.0
CALLS = 500
SERVICE = "stories.v1.UserService"
NAME = "users/ann"
NOT_FOUND_EXIT = 64 + 5  # grpcurl's exit status is 64 and the code

pytestmark = pytest.mark.timeout(BUILD_S + RUN_S)


@pytest.fixture(scope="module", params=["grpcio", "http2"])
def address(request: pytest.FixtureRequest, databases: Databases, migrate_database: Migrate) -> Iterator[str]:
    """Give a server of stories with one user, on each transport in turn."""
    database = asyncio.run(databases.create(migrate_database, replicated=False))
    settings = Settings.load(
        {},
        protos=str(ROOT / "protos"),
        listen="127.0.0.1:0",
        database_write=database.write_url,
        cache_url=database.servers.cache_url,
        cache_prefix=f"tools-{request.param}",
        transport=request.param,
    )
    with RunningPlatform(settings) as running:
        yield running.address
    asyncio.run(databases.drop(database))


@pytest.fixture(scope="module")
def user(address: str) -> str:
    """Give the name of a user that grpcurl made."""
    wish = json.dumps({"user_id": NAME.rpartition("/")[2], "user": {"display_name": "Ann"}})
    made = json.loads(grpcurl("-d", wish, address, f"{SERVICE}/CreateUser").stdout)
    assert made["name"] == NAME
    return NAME


def grpcurl(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = built("github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.4")
    return run((str(program), "-plaintext", *arguments))


def run(command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**environment_with(), **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False, env=variables)


def test_grpcurl_lists_and_describes_what_is_served(address: str) -> None:
    listed = grpcurl(address, "list").stdout.split()
    assert {SERVICE, "grpc.health.v1.Health", "stories.v1.StoryService"} <= set(listed)
    assert f"{SERVICE}.GetUser" in grpcurl(address, "list", SERVICE).stdout.split()
    for symbol in (SERVICE, f"{SERVICE}.GetUser", "stories.v1.User", "stories.v1.User.display_name"):
        told = grpcurl(address, "describe", symbol)
        assert told.stdout.startswith(f"{symbol} is a"), told


def test_grpcurl_calls_and_is_told_why_not(address: str, user: str) -> None:
    got = grpcurl("-d", json.dumps({"name": user}), address, f"{SERVICE}/GetUser")
    assert json.loads(got.stdout)["displayName"] == "Ann"
    missing = grpcurl("-format-error", "-d", '{"name": "users/nobody"}', address, f"{SERVICE}/GetUser")
    assert missing.returncode == NOT_FOUND_EXIT
    error: Any = json.loads(missing.stderr)
    assert error["details"][0]["reason"] == "RESOURCE_NOT_FOUND"
    health = grpcurl(address, "grpc.health.v1.Health/Check")
    assert json.loads(health.stdout) == {"status": "SERVING"}


def test_ghz_measures_without_an_error(address: str, user: str) -> None:
    program = built("github.com/bojand/ghz/cmd/ghz", "v0.93.0")
    asked = ("--call", f"{SERVICE}.GetUser", "-d", json.dumps({"name": user}), "-n", str(CALLS), "-c", "10")
    done = run((str(program), "--insecure", "-O", "json", *asked, address))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["statusCodeDistribution"] == {"OK": CALLS}


def test_k6_loads_without_an_error(address: str, user: str, tmp_path: Path) -> None:
    program = built("go.k6.io/k6", "v1.1.0")
    script, summary = Path(__file__).with_name("load.js"), tmp_path / "summary.json"
    command = (str(program), "run", "--no-usage-report", "--quiet", "--summary-export", str(summary))
    done = run((*command, str(script)), ADDRESS=address, NAME=user)
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(summary.read_text())["metrics"]["checks"]
    assert (checks["passes"], checks["fails"]) == (2 * CALLS, 0)
