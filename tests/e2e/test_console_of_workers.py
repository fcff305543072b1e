"""The console of several workers, and of the commands that have one by themselves, over real processes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.e2e.process import ROOT, Running, running
from tests.integration.console.browser import Browser

from entresol.embedded import EmbeddedServers
from entresol.testing.servers import Databases, Migrate, run
from entresol.transport.caller import Caller


@pytest.fixture(scope="module")
def environment(
    servers: EmbeddedServers, databases: Databases, migrate_database: Migrate
) -> Iterator[dict[str, str]]:
    database = run(databases.create(migrate_database))
    yield {
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_LISTEN": "127.0.0.1:0",
        "ENTRESOL_DATABASE_WRITE": database.write_url,
        "ENTRESOL_DATABASE_READ": " ".join(database.read_urls),
        "ENTRESOL_CACHE_URL": servers.redis.url(0),
        "ENTRESOL_CACHE_PREFIX": database.name,
        "ENTRESOL_RELAY_SLOT": database.name,
        "ENTRESOL_CONSOLE": "write",
    }
    run(databases.drop(database))


@pytest.fixture(scope="module")
def fleet(environment: dict[str, str]) -> Iterator[Running]:
    with running("serve", "--workers", "2", **environment) as found:
        found.says("^serving with 2 workers")
        yield found


def test_topology_and_consistency_are_of_all_workers(fleet: Running) -> None:
    browser = Browser(fleet.admin)
    page = browser.get("/console/")
    assert page.status == 200
    assert "supervisor" in page.text
    assert page.text.count("server ready") == 2, page.text
    with Caller(fleet.address) as caller:
        for _ in range(3):
            caller.call("stories.v1.StoryService/ListStories", {})
    text = browser.get("/console/").text
    calls = re.search(r"stories.v1.StoryService.ListStories (\d+)", text)
    assert calls, text
    assert int(calls[1]) == 3
    assert browser.get("/console/consistency").status == 200


def test_other_pages_and_their_forms_are_a_workers(fleet: Running) -> None:
    browser = Browser(fleet.admin)
    form = {"field.user_id": "fay", "field.display_name": "Fay & Co"}
    made = browser.post("/console/resources/stories.v1.User/new", form)
    assert "users/fay is made" in made.text
    assert "Fay & Co" in made.text
    assert browser.get("/console/static/console.css").status == 200
    assert "no job" in browser.get("/console/jobs").text.lower()


def test_what_may_not_use_the_console_is_refused_before_a_worker_hears_of_it(fleet: Running) -> None:
    browser = Browser(fleet.admin)
    assert browser.get("/console/jobs", host="evil.example").status == 403
    assert browser.get("/console/", host="evil.example").status == 421
    refused = browser.post("/console/queues/default/pause", {}, origin="http://evil.example")
    assert refused.status == 403
    assert "another origin" in refused.text
    worker = re.search(r"admin on (\S+)", "\n".join(line for line in fleet.said if line.startswith("worker")))
    assert worker
    direct = browser.post("/console/queues/default/pause", {}, origin=f"http://{worker[1]}")
    assert direct.status == 403, "the worker's own address is no page that people have open"


def test_a_console_that_may_write_is_not_opened_to_other_machines(environment: dict[str, str]) -> None:
    for words in (("serve",), ("serve", "--workers", "2")):
        with running(*words, **{**environment, "ENTRESOL_ADMIN_LISTEN": "0.0.0.0:0"}) as refused:
            assert refused.process.wait(60) == 1
            refused.says("setting console: write would let whoever reaches 0.0.0.0:0 change records")


def test_a_server_has_no_console_unless_it_is_asked_for(environment: dict[str, str]) -> None:
    with running("serve", **{**environment, "ENTRESOL_CONSOLE": ""}) as refused:
        assert refused.process.wait(60) == 1
    kept = {name: value for name, value in environment.items() if name != "ENTRESOL_CONSOLE"}
    with running("serve", **kept) as server:
        server.says("^serving")
        assert server.get("/console/")[0] == 404
