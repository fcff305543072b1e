"""Dead jobs: what operators are told of them, and what is done about many."""

from __future__ import annotations

import json

import pytest
from google.rpc import error_details_pb2
from tests.integration.jobs.conftest import CROWD, Workshop, put
from tests.integration.jobs.test_jobs import state, until

from entresol.errors import Code
from entresol.storage import jobs
from entresol.storage.jobs import Jobs
from entresol.storage.pools import Pools
from entresol.testing.servers import Database, run

DIE = "UPDATE entresol.jobs SET state = 'dead', update_time = now(), attempt = 3, attempts_max = 3"


def test_operators_are_told_what_failed_and_callers_are_not(workshop: Workshop) -> None:
    name = workshop.begin(label="a", failures=99)
    with workshop.worker():
        until(lambda: state(workshop, name) == "DEAD", 40)
    shown = json.loads(workshop.run("jobs", "show", name))
    assert shown["request"] == {"label": "a", "failures": 99}
    assert [failure["error"] for failure in shown["failures"]] == [
        f"ValueError: attempt {number} fails" for number in range(1, 5)
    ]
    assert shown["failures"][0]["stack"][-1].endswith(" run_task")
    operated = workshop.operate("GetJob", name=name)
    debug = error_details_pb2.DebugInfo()
    assert any(detail.Unpack(debug) for detail in operated.failures[0].details)
    assert debug.detail == "ValueError: attempt 1 fails"
    told = workshop.operation(name).error
    assert told.code == Code.INTERNAL
    assert [detail.type_url.rpartition(".")[2] for detail in told.details] == ["ErrorInfo"]
    assert b"attempt" not in told.SerializeToString()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "DEAD_MAX", 3)


@pytest.mark.usefixtures("few", "workshop")
async def test_many_are_retried_some_at_a_time_each_with_the_attempts_of_its_method(
    database: Database, pools: Pools
) -> None:
    await put(database, 10)
    found = Jobs(pools)
    for attempts in (6, 9):
        await database.psql(DIE if attempts == 6 else DIE.partition(", attempt")[0] + ", attempt = 6")
        assert len(await found.retry(kind=CROWD)) == 10
        bounds = await database.psql("SELECT DISTINCT state, attempts_max FROM entresol.jobs")
        assert bounds.strip() == f"ready|{attempts}"
    assert await found.retry() == set()


@pytest.mark.usefixtures("few", "workshop")
async def test_of_one_key_the_newest_is_retried_wherever_the_others_are(
    database: Database, pools: Pools
) -> None:
    await put(database, 8)
    await database.psql(f"{DIE}, unique_key = '00000000-0000-0000-0000-000000000001'")
    newest = (await database.psql("SELECT id FROM entresol.jobs ORDER BY id DESC LIMIT 1")).strip()
    assert [str(id_) for id_ in await Jobs(pools).retry()] == [newest]


@pytest.mark.usefixtures("few", "workshop")
async def test_many_are_purged_some_at_a_time_and_none_that_is_not_dead(
    database: Database, pools: Pools
) -> None:
    await put(database, 15)
    await database.psql(f"{DIE} WHERE id IN (SELECT id FROM entresol.jobs LIMIT 10)")
    assert len(await Jobs(pools).purge(queue="tasks")) == 10
    assert await Jobs(pools).purge(queue="tasks") == set()
    assert (await database.psql("SELECT count(*) FROM entresol.jobs")).strip() == "5"


def test_a_name_that_no_queue_has_is_asked_back(workshop: Workshop) -> None:
    told = workshop.run("jobs", "pause", "taks")
    assert told == "queue taks is paused; no job was ever put into it: is that its name?\n"
    run(workshop.database.psql("DELETE FROM entresol.pauses"))
