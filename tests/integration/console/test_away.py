"""The console while stores are away: every page answers soon, and says what is missing."""

from __future__ import annotations

import time

from tests.integration.console.conftest import ROOT, settings_of, shown

from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.testing.platforms import ready_for
from entresol.testing.servers import Databases, run

SOON_S = 4.0  # a page is given up after 2 s; the rest is for a machine that is busy
PAGES = (
    "",
    "consistency",
    "verification",
    "resources",
    "resources/stories.v1.Story",
    "resources/stories.v1.Story/record?name=stories/1",
    "jobs",
    "schedules",
    "playground",
)


def test_every_page_answers_soon_and_says_what_is_away() -> None:
    servers = run(EmbeddedServers.start(replicas=0))
    try:
        settings = Settings.load({}, protos=str(ROOT / "protos"), migrations=str(ROOT / "migrations"))
        database = run(Databases(servers).create(ready_for(settings), replicated=False))
        own = settings_of(database, servers.redis.url(1), protos=str(ROOT / "protos"), database_read=())
        with shown(own) as found:
            assert all(found.browser.get(f"/console/{page}").status in (200, 404) for page in PAGES)
            run(servers.redis.kill())
            assert found.browser.get("/console/resources/stories.v1.Story").status == 200, (
                "the primary answers"
            )
            run(servers.primary.kill())
            statuses = {}
            for page in PAGES:
                began_s = time.monotonic()
                statuses[page] = found.browser.get(f"/console/{page}")
                assert time.monotonic() - began_s < SOON_S, page
            assert {page: told.status for page, told in statuses.items() if told.status != 200} == {
                "resources/stories.v1.Story": 503,
                "resources/stories.v1.Story/record?name=stories/1": 503,
                "jobs": 503,
                "schedules": 503,
                "verification": 503,
            }
            assert "UNAVAILABLE" in statuses["resources/stories.v1.Story"].text
            assert "try again" in statuses["jobs"].text or "tries again" in statuses["jobs"].text
            topology = found.browser.get("/console/").text
            assert "primary" in topology
            assert "cache" in topology
            assert "nothing can be answered" in topology
    finally:
        run(servers.stop())
