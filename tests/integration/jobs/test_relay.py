"""Jobs by way of RabbitMQ, on a real one: the row decides, whatever becomes of messages."""

from __future__ import annotations

import dataclasses
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGKILL
from typing import Any

import pytest
from tests.integration.jobs.conftest import ENTRESOL, LEASE_S, Workshop, environment
from tests.integration.jobs.test_jobs import RESPONSE, state, until
from tests.rabbitmq import RabbitMQ

from entresol.broker.connection import Channel, open_channel
from entresol.broker.queues import declare, depth, publish
from entresol.testing.servers import run

QUEUE, TIMEOUT_S = "tasks", 5.0
AGAIN_S = 1.0


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    server = run(RabbitMQ.open())
    yield server
    run(server.close())


@dataclasses.dataclass
class Fleet:
    """A workshop whose jobs are relayed."""

    workshop: Workshop
    broker: RabbitMQ

    @property
    def changes(self) -> dict[str, Any]:
        return {
            "rabbitmq_urls": (self.broker.url,),
            "rabbitmq_timeout_s": 2.0,
            "jobs_relayed": True,
            "jobs_relay_again_s": AGAIN_S,
        }

    @contextmanager
    def relay(self, **changes: Any) -> Iterator[subprocess.Popen[str]]:
        settings = dataclasses.replace(self.workshop.settings, **{**self.changes, **changes})
        command = [ENTRESOL, "relay-jobs", "--queue", QUEUE]
        process = subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"relaying jobs of {QUEUE}\n"
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=20)

    def worker(self, **changes: Any) -> Any:
        return self.workshop.worker(**{**self.changes, **changes})

    def relayed(self) -> int:
        return int(
            run(
                self.workshop.database.psql("SELECT count(*) FROM entresol.jobs WHERE relay_time IS NOT NULL")
            )
        )

    def ask(self, work: Any) -> Any:
        """Do something on a channel of one's own."""

        async def asked() -> Any:
            async with open_channel([self.broker.url], TIMEOUT_S) as channel:
                await declare(channel, QUEUE, TIMEOUT_S)
                return await work(channel)

        return run(asked())

    def waiting(self) -> int:
        return int(self.ask(lambda channel: depth(channel, QUEUE, TIMEOUT_S)))

    def tell(self, *names: str) -> None:
        """Publish jobs once more, as a relay that died before it heard of it would."""
        ids = [uuid.UUID(name.removeprefix("operations/")) for name in names]
        self.ask(lambda channel: publish(channel, QUEUE, ids, TIMEOUT_S))


@pytest.fixture
def fleet(workshop: Workshop, broker: RabbitMQ) -> Fleet:
    found = Fleet(workshop, broker)

    async def purge(channel: Channel) -> None:
        await (await declare(channel, QUEUE, TIMEOUT_S)).purge()

    found.ask(purge)
    return found


def test_a_job_goes_by_rabbitmq_and_its_operation_is_as_any_other(fleet: Fleet) -> None:
    name = fleet.workshop.begin(label="a", steps=3, pause="0.3s")
    with fleet.relay():
        until(lambda: fleet.relayed() == 1)
        assert state(fleet.workshop, name) == "READY"
        with fleet.worker():
            until(lambda: state(fleet.workshop, name) == "RUNNING")
            response = fleet.workshop.unpacked(RESPONSE, fleet.workshop.wait(name).response)
    assert (response.steps, response.attempts) == (3, 1)
    assert fleet.workshop.marks() == ["marks/a-1"]
    until(lambda: fleet.waiting() == 0)


def test_a_worker_of_rabbitmq_claims_nothing_that_it_was_not_told_of(fleet: Fleet) -> None:
    name = fleet.workshop.begin(label="a")
    with fleet.worker():
        with pytest.raises(AssertionError):
            fleet.workshop.wait(name, timeout_s=1)
        fleet.tell(name)
        fleet.workshop.wait(name)


def test_a_job_that_is_told_many_times_is_done_once(fleet: Fleet) -> None:
    names = [fleet.workshop.begin(label=f"n{number}", pause="0.2s", steps=1) for number in range(5)]
    with fleet.relay(), fleet.worker(), fleet.worker():
        for _ in range(4):
            fleet.tell(*names, *names)
        for name in names:
            response = fleet.workshop.unpacked(RESPONSE, fleet.workshop.wait(name).response)
            assert response.attempts == 1
        fleet.tell(*names)
        until(lambda: fleet.waiting() == 0)
    assert fleet.workshop.marks() == [f"marks/n{number}-1" for number in range(5)]


def test_a_message_that_is_lost_is_sent_again(fleet: Fleet) -> None:
    name = fleet.workshop.begin(label="a")

    async def lose(channel: Channel) -> bool:
        queue = await declare(channel, QUEUE, TIMEOUT_S)
        return await queue.get(no_ack=True, fail=False) is not None

    with fleet.relay():
        until(lambda: fleet.ask(lose))
        with fleet.worker():
            fleet.workshop.wait(name)


def test_what_a_killed_worker_had_is_done_by_another(fleet: Fleet) -> None:
    with fleet.relay(), fleet.worker() as first:
        names = [fleet.workshop.begin(label=f"n{number}", steps=4, pause="0.5s") for number in range(3)]
        until(lambda: all(state(fleet.workshop, name) == "RUNNING" for name in names))
        first.send_signal(SIGKILL)
        with fleet.worker():
            for name in names:
                response = fleet.workshop.unpacked(
                    RESPONSE, fleet.workshop.wait(name, int(LEASE_S) + 12).response
                )
                assert response.attempts == 2
    assert fleet.workshop.marks() == [f"marks/n{number}-2" for number in range(3)]


def test_a_worker_that_ends_keeps_nothing_from_others(fleet: Fleet) -> None:
    with fleet.relay(jobs_relay_again_s=60.0), fleet.worker(jobs_concurrency=2, drain_s=25.0) as first:
        long = fleet.workshop.begin(label="long", steps=1, pause="9s")
        short = fleet.workshop.begin(label="short", steps=1, pause="2s")
        until(lambda: {state(fleet.workshop, name) for name in (long, short)} == {"RUNNING"})
        waiting = fleet.workshop.begin(label="next")
        until(lambda: fleet.waiting() == 1)
        first.terminate()
        fleet.workshop.wait(short)
        with fleet.worker():
            fleet.workshop.wait(waiting)
            assert state(fleet.workshop, long) == "RUNNING"
            assert fleet.workshop.unpacked(RESPONSE, fleet.workshop.wait(long).response).attempts == 1


def test_a_failed_attempt_is_relayed_again_when_its_pause_is_over(fleet: Fleet) -> None:
    with fleet.relay(jobs_relay_again_s=60.0), fleet.worker():
        response = fleet.workshop.unpacked(
            RESPONSE, fleet.workshop.wait(fleet.workshop.begin(label="a", failures=1)).response
        )
    assert response.attempts == 2


def test_a_job_is_cancelled_wherever_it_waits(fleet: Fleet) -> None:
    with fleet.relay():
        name = fleet.workshop.begin(label="a")
        until(lambda: fleet.waiting() == 1)
        fleet.workshop.api.call("CancelOperation", name=name)
        with fleet.worker():
            until(lambda: fleet.waiting() == 0)
    assert fleet.workshop.operation(name).error.code == 1
    assert fleet.workshop.marks() == []


def test_no_more_than_so_many_jobs_are_ahead_of_the_workers(fleet: Fleet) -> None:
    names = [fleet.workshop.begin(label=f"n{number}") for number in range(12)]
    with fleet.relay(jobs_relay_ahead=5):
        until(lambda: fleet.waiting() >= 10)  # those that do not begin are sent once more, and then no more
        end_s = time.monotonic() + 3 * AGAIN_S
        while time.monotonic() < end_s:
            assert fleet.relayed() <= 5
            assert fleet.waiting() <= 15
        with fleet.worker():
            for name in names:
                fleet.workshop.wait(name)


def test_a_kind_that_a_worker_does_not_know_is_left_for_others(fleet: Fleet) -> None:
    name = fleet.workshop.begin(label="a")
    psql = fleet.workshop.database.psql
    run(psql("UPDATE entresol.lanes SET kind = replace(kind, 'RunTask', 'LaterTask')"))
    with fleet.relay(), fleet.worker():
        until(lambda: fleet.relayed() == 1)
        until(lambda: fleet.waiting() == 0)
        assert state(fleet.workshop, name) == "READY"
        run(psql("UPDATE entresol.lanes SET kind = replace(kind, 'LaterTask', 'RunTask')"))
        response = fleet.workshop.unpacked(RESPONSE, fleet.workshop.wait(name).response)
    assert response.attempts == 1


def test_what_is_no_job_is_put_aside(fleet: Fleet) -> None:
    async def send(channel: Channel) -> None:
        from entresol.broker.connection import Message
        from entresol.broker.queues import PREFIX

        await channel.default_exchange.publish(Message(b"", message_id="nobody"), PREFIX + QUEUE)

    async def dead(channel: Channel) -> int:
        found = await channel.declare_queue("entresol.dead", passive=True)
        return found.declaration_result.message_count or 0

    before = fleet.ask(dead)
    with fleet.worker():
        fleet.ask(send)
        until(lambda: fleet.ask(dead) == before + 1)


def test_the_relay_and_the_workers_go_on_when_rabbitmq_is_back(fleet: Fleet) -> None:
    with fleet.relay(), fleet.worker():
        fleet.workshop.wait(fleet.workshop.begin(label="a", steps=20, pause="0.2s"), 15)
        running = fleet.workshop.begin(label="b", steps=10, pause="0.3s")
        until(lambda: state(fleet.workshop, running) == "RUNNING")
        run(fleet.broker.kill())
        waiting = fleet.workshop.begin(label="c")
        assert fleet.workshop.unpacked(RESPONSE, fleet.workshop.wait(running).response).attempts == 1
        run(fleet.broker.start())
        assert fleet.workshop.unpacked(RESPONSE, fleet.workshop.wait(waiting, 15).response).attempts == 1
    assert fleet.workshop.marks() == ["marks/a-1", "marks/b-1", "marks/c-1"]


def test_a_broker_that_is_frozen_is_one_that_is_away(fleet: Fleet) -> None:
    with fleet.relay(), fleet.worker():
        fleet.workshop.wait(fleet.workshop.begin(label="a"))
        run(fleet.broker.pause())
        try:
            name = fleet.workshop.begin(label="b")
            until(lambda: fleet.relayed() == 1)
            until(lambda: fleet.relayed() == 0)  # given up, and undone
        finally:
            run(fleet.broker.resume())
        fleet.workshop.wait(name, 15)
    assert fleet.workshop.marks() == ["marks/a-1", "marks/b-1"]
