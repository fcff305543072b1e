"""The queue in a cluster of its own: a job begins once if its transaction commits, whichever of the two is away."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.jobs.conftest import Workshop, served, workshop_settings
from tests.integration.jobs.test_jobs import RESPONSE, until

from entresol.embedded import EmbeddedServers
from entresol.testing.servers import Database, Databases, run


@pytest.fixture(scope="module")
def own_servers() -> Iterator[EmbeddedServers]:
    servers = run(EmbeddedServers.start(replicas=0, redis=False))
    yield servers
    run(servers.stop())


@pytest.fixture(scope="module")
def own_databases(own_servers: EmbeddedServers) -> Databases:
    return Databases(own_servers)


@pytest.fixture
def queue(own_databases: Databases, workshop_ready: Any) -> Iterator[Database]:
    database = run(own_databases.create(workshop_ready, replicated=False))
    yield database
    run(own_databases.drop(database))


@pytest.fixture
def workshop(
    databases: Databases, workshop_ready: Any, queue: Database, tmp_path: Path
) -> Iterator[Workshop]:
    database = run(databases.create(workshop_ready, replicated=True))
    settings = dataclasses.replace(workshop_settings(database), database_jobs=queue.write_url)
    try:
        with served(settings, database, tmp_path) as workshop:
            yield workshop
    finally:
        run(databases.drop(database))


def test_a_job_goes_by_way_of_the_outbox_and_is_done_once(workshop: Workshop, queue: Database) -> None:
    name = workshop.begin(label="a", steps=2, pause="0.1s")
    assert not workshop.operation(name).done
    with workshop.worker():
        done = workshop.wait(name)
    assert workshop.unpacked(RESPONSE, done.response).steps == 2
    assert workshop.marks() == ["marks/a-1"]
    assert run(queue.psql("SELECT count(*) FROM entresol.jobs_done")) == "1"
    assert run(workshop.database.psql("SELECT count(*) FROM entresol.jobs_done")) == "0"
    until(lambda: run(workshop.database.psql("SELECT count(*) FROM entresol.outbox")) == "0")
