"""`entresol doctor`: what it prints, and how it ends."""

from __future__ import annotations

import json

import pytest
from tests.integration.cli.conftest import Cli

from entresol.doctor.catalogue import CHECKS, name_of
from entresol.errors import InvalidArgumentError


def test_findings_are_told_with_why_and_what_to_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTRESOL_LISTN", "127.0.0.1:9000")
    told = cli.run("doctor", "--only", "settings.unknown").stdout
    assert "warning [settings.unknown] ENTRESOL_LISTN: is not a setting" in told
    assert "\n  why " in told
    assert "\n  do  is ENTRESOL_LISTEN meant?" in told
    assert told.endswith("1 check: 1 warning\n")


def test_json_has_every_finding_with_its_check(cli: Cli) -> None:
    facts = cli.json("doctor", "--only", "settings.tokens", "--only", "database")
    assert facts["ok"] is True
    (tokens,) = [one for one in facts["findings"] if one["check"] == "settings.tokens"]
    assert tokens.keys() == {"check", "severity", "subject", "problem", "why", "remedy"}
    assert tokens["severity"] == "warning"


def test_an_error_is_the_exit_code(cli: Cli) -> None:
    result = cli.run("doctor", "--only", "fleet.connections", "--servers", "1000", fails=True)
    assert result.stdout.startswith("error [fleet.connections] primary ")
    assert "1000 servers x 1 processes" in result.stdout


def test_protos_with_mistakes_hide_nothing_of_the_servers(cli: Cli) -> None:
    cli.write("wrong.proto", "syntax = 'proto3'; message {")
    result = cli.run("doctor", "--protos", ".", "--json", fails=True)
    facts = json.loads(result.stdout)
    by_check = {one["check"]: one for one in facts["findings"]}
    assert by_check["fleet.silence"]["subject"] == "protos"
    assert "database.statistics" in by_check
    assert "indexes.missing" not in by_check


def test_a_database_without_migrations_is_told_what_it_lacks(bare: Cli) -> None:
    result = bare.run("doctor", "--only", "indexes", "--only", "database.migrations", "--json", fails=True)
    found = json.loads(result.stdout)["findings"]
    assert {"entresol migrate"} <= {one["remedy"] for one in found}
    problems = " ".join(one["problem"] for one in found)
    assert "table public.stories is missing" in problems
    assert "is not applied" in problems


def test_every_check_is_listed(cli: Cli) -> None:
    lines = cli.run("doctor", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [name_of(check) for check in CHECKS]


def test_a_check_that_is_none_is_refused(cli: Cli) -> None:
    assert isinstance(cli.run("doctor", "--only", "nothing", fails=True).exception, InvalidArgumentError)
