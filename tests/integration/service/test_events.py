"""Events: what callers create at one moment is one commit, nobody fails by another, and what is acknowledged stays."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Self

import asyncpg
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from tests.integration.service.api import Api, Refusal

from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.errors import ChildrenExistError, Code
from entresol.service.call import CONSISTENCY_KEY
from entresol.service.status import CallFailedError
from entresol.storage import ingest
from entresol.testing.platforms import Platforms, ServedPlatform
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import run
from entresol.transport.caller import Caller

CALLERS = 64
ENTRESOL = str(Path(sys.executable).parent / "entresol")
STRONG = {CONSISTENCY_KEY: "strong"}
DAYS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'clicks'::regclass ORDER BY 1"


@dataclasses.dataclass
class Site:
    """A served platform with a story, and what clicks on it."""

    served: ServedPlatform
    caller: Caller
    story: str

    @property
    def api(self) -> Api:
        """Return a caller with a session of its own."""
        return Api(self.caller, self.served.running.platform.model)

    def psql(self, sql: str) -> str:
        return run(self.served.database.psql(sql))

    def click(self, number: int, parent: str = "") -> Any:
        return self.api.call("CreateClick", parent=parent or self.story, click={"referrer": f"page {number}"})

    def click_all(self, parents: list[str]) -> list[Any]:
        """Click below each of `parents` at the same moment; what failed is a `CallFailedError`."""

        def one(number: int) -> Any:
            try:
                return self.click(number, parents[number])
            except CallFailedError as error:
                return error

        with ThreadPoolExecutor(len(parents)) as threads:
            return list(threads.map(one, range(len(parents))))

    def batch(self, referrers: list[str], **more: Any) -> list[Any]:
        requests = [{"click": {"referrer": referrer}, **more} for referrer in referrers]
        return list(self.api.call("BatchCreateClicks", parent=self.story, requests=requests).clicks)

    def count(self) -> int:
        return int(self.psql("SELECT count(*) FROM clicks"))


@pytest.fixture
def site(platforms: Platforms) -> Iterator[Site]:
    with platforms.serve() as served, Caller(served.address) as caller:
        api = Api(caller, served.running.platform.model)
        api.call("CreateUser", user={"display_name": "Ann"}, user_id="ann")
        story = api.call("CreateStory", story={"title": "One", "author": "users/ann"}, story_id="one")
        yield Site(served, caller, story.name)


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables by which another process has these settings."""
    values = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if getattr(settings, field.name) != field.default
    }
    texts = {
        f"ENTRESOL_{name.upper()}": " ".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }
    return {"PATH": os.environ["PATH"], **texts}


async def delete(site: Site, name: str) -> None:
    """Delete a row as SQL of a custom method does, so that only the foreign keys are in the way."""
    async with site.served.running.platform.records.transaction() as transaction:
        await transaction.execute("DELETE FROM stories WHERE name = $1", name)


class Gate:
    """Lets nobody write clicks until it is opened."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._running = site.served.running

    def __enter__(self) -> Self:
        self._begun = self._calls()
        self._connection = self._running.run(asyncpg.connect(self._site.served.database.write_url))
        self._running.run(self._connection.execute("BEGIN; LOCK TABLE clicks IN SHARE MODE"))
        return self

    def until_held(self, writers: int, calls: int = 0) -> None:
        """Return when so many transactions wait, or more (batches may have no request in common), of so many calls."""
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'clicks'::regclass"

        async def are_held() -> bool:
            are_here = self._calls() >= self._begun + calls
            return are_here and bool(await self._connection.fetchval(waiting) >= writers)

        assert self._running.run(until(are_held, 10.0))

    def _calls(self) -> int:
        """Return how many calls have come by gRPC since the server began."""
        told: Any = self._running.platform.life.facts()["transport"]
        return sum(part["calls"]["begun"] for part in told if part["protocol"] == "grpc")

    def open(self) -> None:
        self._running.run(self._connection.execute("ROLLBACK"))

    def __exit__(self, *_: object) -> None:
        self._running.run(self._connection.close())


def test_events_of_one_moment_share_commits_and_each_caller_is_told_of_his_own(site: Site) -> None:
    with Gate(site) as gate, ThreadPoolExecutor(1) as thread:
        told = thread.submit(site.click_all, [site.story] * CALLERS)
        gate.until_held(ingest.RUNNING_MAX, CALLERS)
        gate.open()
        clicks = told.result()
    assert [click.referrer for click in clicks] == [f"page {number}" for number in range(CALLERS)]
    assert len({click.name for click in clicks}) == CALLERS
    assert int(site.psql("SELECT count(DISTINCT xmin::text) FROM clicks")) < CALLERS / 2
    names = [click.name for click in clicks]
    assert list(site.api.call("BatchGetClicks", STRONG, names=names).clicks) == clicks
    assert all(site.api.call("GetClick", STRONG, name=click.name) == click for click in clicks[:3])


def test_an_event_is_seen_by_who_created_it_wherever_he_reads(site: Site) -> None:
    api = site.api
    click = api.call("CreateClick", parent=site.story, click={"visitor": "users/ann"})
    assert api.call("GetClick", name=click.name) == click
    assert click.HasField("create_time")
    assert click.etag
    assert list(api.call("ListClicks", parent=site.story, order_by="create_time desc").clicks) == [click]


def test_nobody_fails_by_what_another_sent(site: Site) -> None:
    parents = [site.story] * CALLERS
    for number in (0, 17, 40, 41):
        parents[number] = f"stories/none-{number}"
    with Gate(site) as gate, ThreadPoolExecutor(1) as thread:
        told = thread.submit(site.click_all, parents)
        gate.until_held(ingest.RUNNING_MAX, CALLERS)
        gate.open()
        done = told.result()
    failed = {number: error for number, error in enumerate(done) if isinstance(error, CallFailedError)}
    assert sorted(failed) == [0, 17, 40, 41]
    for number, error in failed.items():
        assert error.code == Code.NOT_FOUND
        assert f"stories/none-{number}" in str(error)
    assert site.count() == CALLERS - len(failed)


def test_a_batch_is_written_whole_and_in_order(site: Site) -> None:
    referrers = [f"page {number}" for number in range(1000)]
    clicks = site.batch(referrers)
    assert [click.referrer for click in clicks] == referrers
    assert site.psql("SELECT count(*), count(DISTINCT xmin::text) FROM clicks").strip() == "1000|1"


def test_a_batch_that_is_refused_leaves_nothing_behind(site: Site) -> None:
    requests = [{"click": {"referrer": "page"}} for _ in range(300)]
    with Gate(site) as gate, ThreadPoolExecutor(3) as threads:
        blocking = []
        for number in range(ingest.RUNNING_MAX):  # one after the other, so that no two share a batch
            blocking.append(threads.submit(site.click, number))
            gate.until_held(number + 1)
        refused = threads.submit(
            site.api.refused,
            Code.NOT_FOUND,
            "BatchCreateClicks",
            parent="stories/none",
            requests=requests,
        )
        gate.open()
        assert refused.result().message
        assert all(one.result().name for one in blocking)
    assert site.count() == ingest.RUNNING_MAX


def test_events_keep_what_they_are_below_from_being_deleted(site: Site) -> None:
    site.click(1)
    refusal = site.api.refused(Code.FAILED_PRECONDITION, "DeleteUser", name="users/ann")
    assert "users/ann has stories" in refusal.message
    with pytest.raises(ChildrenExistError, match="stories/one has clicks, or clicks refer to it"):
        site.served.running.run(delete(site, "stories/one"))
    assert site.count() == 1


def test_a_request_id_and_a_rehearsal_are_as_for_every_record(site: Site) -> None:
    again = {"parent": site.story, "request_id": "6c0a5e3e-9f0c-4f4e-8b1f-0d8f3f0a6f11"}
    first = site.api.call("CreateClick", click={"referrer": "page"}, **again)
    assert site.api.call("CreateClick", click={"referrer": "page"}, **again) == first
    site.api.call("CreateClick", parent=site.story, click={"referrer": "page"}, validate_only=True)
    assert [click.referrer for click in site.batch(["a", "b"], validate_only=True)] == ["a", "b"]
    assert site.count() == 1


def test_a_request_that_is_sent_again_at_the_same_moment_creates_one_event(site: Site) -> None:
    ids = [str(uuid.UUID(int=number % 8, version=4)) for number in range(CALLERS)]

    def one(request_id: str) -> Any:
        click = {"referrer": request_id}
        return site.api.call("CreateClick", parent=site.story, click=click, request_id=request_id)

    with Gate(site) as gate, ThreadPoolExecutor(CALLERS) as threads:
        calls = [threads.submit(one, request_id) for request_id in ids]
        gate.until_held(1, CALLERS)  # whoever has the same ids waits for it
        gate.open()
        clicks = [call.result() for call in calls]
    assert len({click.name for click in clicks}) == site.count() == 8
    assert [click.referrer for click in clicks] == ids
    assert [one(request_id) for request_id in ids[:8]] == clicks[:8]
    again = {"parent": site.story, "request_id": ids[0]}
    assert (
        "already used"
        in site.api.refused(
            Code.INVALID_ARGUMENT, "CreateClick", click={"referrer": "other"}, **again
        ).violations["request_id"]
    )
    assert site.count() == 8


def test_events_whose_requests_have_ids_share_commits_too(site: Site) -> None:
    def one(number: int) -> Any:
        more = {"request_id": str(uuid.uuid4()), "click": {"referrer": f"page {number}"}}
        return site.api.call("CreateClick", parent=site.story, **more)

    with Gate(site) as gate, ThreadPoolExecutor(CALLERS) as threads:
        calls = [threads.submit(one, number) for number in range(CALLERS)]
        gate.until_held(ingest.RUNNING_MAX, CALLERS)
        gate.open()
        assert [call.result().referrer for call in calls] == [f"page {number}" for number in range(CALLERS)]
    assert int(site.psql("SELECT count(DISTINCT xmin::text) FROM clicks")) < CALLERS / 2


def test_more_events_than_may_wait_are_sent_back_with_a_delay(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 10
    monkeypatch.setattr(ingest, "ROWS_WAITING_MAX", most)
    held_max = most * (ingest.RUNNING_MAX + 1)
    with Gate(site) as gate, ThreadPoolExecutor(held_max + 5) as threads:
        calls = [threads.submit(site.click, number) for number in range(held_max + 5)]
        first = list(itertools.islice(as_completed(calls, timeout=20), 5))
        gate.open()
    for call in first:
        error = call.exception()
        assert isinstance(error, CallFailedError)
        assert error.code == Code.RESOURCE_EXHAUSTED
        (retry,) = Refusal(error.status).details(RetryInfo)
        assert retry.retry_delay.ToTimedelta().total_seconds() > 0
    succeeded = sum(call.exception() is None for call in calls)
    assert site.count() == succeeded > 0


def test_a_killed_server_has_written_what_it_acknowledged(site: Site) -> None:
    settings = dataclasses.replace(site.served.running.settings, web_listen="")
    process = subprocess.Popen(
        [ENTRESOL, "serve"], env=environment(settings), stdout=subprocess.PIPE, text=True
    )
    names: list[str] = []
    assert process.stdout is not None
    address = process.stdout.readline().split()[-1]

    def click(caller: Caller) -> None:
        api = Api(caller, site.served.running.platform.model)
        while True:
            try:
                names.append(api.call("CreateClick", parent=site.story, click={"referrer": "page"}).name)
            except CallFailedError:
                return
            if len(names) == 200:
                process.kill()

    try:
        with Caller(address) as caller, ThreadPoolExecutor(16) as threads:
            for _ in range(16):
                threads.submit(click, caller)
    finally:
        process.kill()
        process.communicate(timeout=20)
    assert len(names) >= 200
    kept = set(site.psql("SELECT name FROM clicks").split())
    assert set(names) <= kept


def test_a_server_makes_the_days_that_are_missing_and_drops_those_that_are_over(site: Site) -> None:
    site.psql("""
        SELECT entresol.drop_days('clicks', -9);
        INSERT INTO clicks (name, parent, create_time)
        SELECT 'stories/one/clicks/' || age, 'stories/one', now() - make_interval(days => age)
        FROM unnest(ARRAY[1, 29, 31, 400]) AS age;
    """)
    assert site.psql(DAYS).split() == ["clicks_other"]
    settings = dataclasses.replace(site.served.running.settings, listen="127.0.0.1:0", web_listen="")

    async def are_kept() -> bool:
        days = await site.served.database.psql(DAYS)
        # Today and two days ahead, yesterday, 29 days ago; not those of which kept_days have passed.
        return len(days.split()) == 6

    with RunningPlatform(settings, relay=False):
        assert run(until(are_kept, 10.0))
    assert site.psql("SELECT name FROM clicks ORDER BY create_time DESC").split() == [
        "stories/one/clicks/1",
        "stories/one/clicks/29",
    ]
    assert site.psql("SELECT count(*) FROM clicks_other").strip() == "0"
