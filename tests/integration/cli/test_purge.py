"""`entresol purge`: what the filter matches, nothing else, and as far as it came."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from tests.integration.cli.conftest import Cli

from entresol.errors import ChildrenExistError, ConfigurationError, InvalidArgumentError

ENTRESOL = str(Path(sys.executable).parent / "entresol")


@pytest.fixture
def users(cli: Cli) -> Cli:
    """Give commands on a database of 1,000 users, of whom 100 have karma."""
    cli.rows(
        "INSERT INTO users (name, uid, karma, create_time, update_time) SELECT 'users/u' || lpad(i::text, 5, '0'), "
        "gen_random_uuid()::text, CASE WHEN i < 100 THEN 5 ELSE 0 END, now(), now() FROM generate_series(0, 999) i"
    )
    return cli


def count(cli: Cli, table: str = "users") -> int:
    return int(cli.rows(f"SELECT count(*) FROM {table}")[0][0])


def test_what_matches_goes_and_a_dry_run_only_counts_it(users: Cli) -> None:
    command = ("purge", "stories.v1.User", "--filter", "karma = 0")
    assert users.json(*command, "--dry-run") == {"matching": 900}
    assert count(users) == 1000
    assert users.json(*command, "--limit", "30", "--batch-size", "7")["deleted"] == 30
    assert users.rows("SELECT min(name) FROM users WHERE karma = 0") == [("users/u00130",)]
    assert users.json(*command)["deleted"] == 870
    assert users.json(*command)["deleted"] == 0
    assert count(users) == 100


def test_a_person_reads_how_many_went(users: Cli) -> None:
    command = ("purge", "stories.v1.User", "--filter", "karma > 0")
    assert users.run(*command, "--dry-run").stdout == "100 match; nothing was deleted\n"
    assert users.run(*command).stdout.startswith("100 deleted in ")


def test_a_rate_holds_it_up(users: Cli) -> None:
    facts = users.json("purge", "stories.v1.User", "--filter", "*", "--limit", "40", "--rate", "80")
    assert facts["deleted"] == 40
    assert facts["seconds"] >= 0.5


def test_children_are_deleted_only_by_force(users: Cli) -> None:
    users.rows(
        "INSERT INTO stories (name, uid, title, author, create_time, update_time, delete_time, purge_time) VALUES "
        "('stories/s', 'u', 't', 'users/u00000', now(), now(), now(), now())"
    )
    users.rows(
        "INSERT INTO comments (name, parent, author, text, create_time, update_time) VALUES "
        "('stories/s/comments/c', 'stories/s', 'users/u00000', 't', now(), now())"
    )
    assert users.json("purge", "stories.v1.Story", "--filter", "*")["deleted"] == 0  # it is marked already
    refused = users.run("purge", "stories.v1.Story", "--expired", fails=True)
    assert isinstance(refused.exception, ChildrenExistError)
    assert users.json("purge", "stories.v1.Story", "--expired", "--force")["deleted"] == 1
    assert (count(users, "stories"), count(users, "comments")) == (0, 0)


def test_what_is_wrong_with_the_order_is_one_sentence_and_nothing_goes(users: Cli) -> None:
    wrong = {
        ("stories.v1.User",): (click.UsageError, "give --filter"),
        ("stories.v1.User", "--filter", ""): (InvalidArgumentError, "filter: is empty"),
        ("stories.v1.User", "--filter", "karmas = 1"): (InvalidArgumentError, "filter: "),
        ("stories.v1.Nobody", "--filter", "*"): (ConfigurationError, "the resources are"),
        ("stories.v1.User", "--expired"): (InvalidArgumentError, "expired: "),
    }
    for arguments, (kind, says) in wrong.items():
        error = users.run("purge", *arguments, fails=True).exception
        assert isinstance(error, kind)
        assert says in str(error)
    assert count(users) == 1000


def test_one_that_is_killed_keeps_whole_batches_and_goes_on(users: Cli) -> None:
    command = [ENTRESOL, "purge", "stories.v1.User", "--filter", "*", "--json"]
    environment = {**os.environ, **users.environment}
    process = subprocess.Popen(
        [*command, "--batch-size", "10", "--rate", "200"], cwd=users.folder, env=environment
    )
    deadline_s = time.monotonic() + 30
    while count(users) > 950:
        assert process.poll() is None
        assert time.monotonic() < deadline_s
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    left = count(users)
    assert 0 < left < 1000
    assert left % 10 == 0
    assert users.rows("SELECT min(name) FROM users") == [(f"users/u{1000 - left:05}",)]
    done = subprocess.run(
        command, cwd=users.folder, env=environment, capture_output=True, timeout=60, check=True
    )
    assert b'"deleted": ' in done.stdout
    assert count(users) == 0


def test_one_that_fails_says_how_many_went_before(users: Cli) -> None:
    users.rows(
        "INSERT INTO stories (name, uid, title, author, create_time, update_time) VALUES "
        "('stories/s', 'u', 't', 'users/u00005', now(), now())"
    )
    failed = users.run("purge", "stories.v1.User", "--filter", "*", "--batch-size", "2", fails=True)
    assert "4 deleted before it ended" in failed.stderr
    assert count(users) == 996
