"""HAProxy takes every configuration that the command writes, and refuses one that is broken."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.haproxy import haproxy_or_skip

from entresol.cli.main import entresol
from entresol.cli.topology import check
from entresol.config import Settings
from entresol.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[3]
PLATFORMS = ("--platforms", "127.0.0.1:9100,127.0.0.1:9101")
SERVICE = ("--platform-service", "localhost:9100")
ADMIN = ("--platform-admin-port", "9464")
PATRONI = ("--databases", "10.0.0.1:5432,10.0.0.2:5432", "--database-check", "patroni")
SQL = ("--databases", "10.0.0.1:5432,[::1]:5432")
OPERATOR = ("--databases", "localhost:5432,localhost:5433", "--database-check", "service")


@pytest.fixture
def program() -> Path:
    return haproxy_or_skip()


def topology(program: Path | str, *arguments: str) -> Result:
    environment = {"ENTRESOL_HAPROXY_BIN": str(program), "ENTRESOL_PROTOS": str(ROOT / "protos")}
    return CliRunner().invoke(entresol, ["topology", *arguments], env=environment, standalone_mode=False)


@pytest.mark.parametrize("databases", [(), PATRONI, SQL, OPERATOR])
@pytest.mark.parametrize("platforms", [(), PLATFORMS, (*PLATFORMS, *ADMIN), SERVICE, (*SERVICE, *ADMIN)])
def test_haproxy_takes_what_is_written(
    program: Path, tmp_path: Path, platforms: tuple[str, ...], databases: tuple[str, ...]
) -> None:
    if not platforms and not databases:
        assert "nothing to balance" in str(topology(program).exception)
        return
    output = tmp_path / "haproxy.cfg"
    arguments = (*platforms, *databases, "--socket", str(tmp_path / "admin.sock"))
    result = topology(program, *arguments, "--output", str(output))
    assert result.exception is None, result.output
    assert result.stdout == f"wrote {output}\n"
    done = subprocess.run(
        [program, "-c", "-f", output], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()


def test_what_is_checked_only_is_not_written(program: Path) -> None:
    result = topology(program, *PLATFORMS, "--check-only")
    assert result.exception is None
    assert result.stdout == "HAProxy would start with it\n"


def test_a_broken_configuration_is_refused_with_what_haproxy_says(program: Path) -> None:
    with pytest.raises(ConfigurationError, match="unknown keyword 'balanse'"):
        check("defaults\n    balanse leastconn\n", Settings(haproxy_bin=str(program)))


def test_without_haproxy_what_is_written_is_not_checked_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entresol.cli.topology.find_haproxy", lambda _program: None)
    result = topology("", *PLATFORMS)
    assert result.exception is None
    assert result.stdout.startswith("# Written by `entresol topology`")
    assert "not checked" in result.stderr
    assert isinstance(topology("", *PLATFORMS, "--check-only").exception, ConfigurationError)
