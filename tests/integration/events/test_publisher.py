"""Changes become CloudEvents on a real RabbitMQ: all of them, in order, whatever is killed on the way."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import ExitStack
from signal import SIGKILL

import pytest
from tests.integration.events.conftest import Shelf

from entresol.storage.administration import connect_primary


async def test_a_record_s_life_is_three_events(shelf: Shelf) -> None:
    psql = shelf.database.psql
    with shelf.publisher():
        await shelf.begun()
        await psql(
            "INSERT INTO books (name, title, tags, notes) VALUES "
            "('books/a', 'A \"b\" (c), \\d', '{x,\"y,z\"}', '{\"k\": \"v\"}')"
        )
        await psql("INSERT INTO readers (name, nickname) VALUES ('readers/a', 'Ada')")
        await psql("UPDATE books SET copies = 3 WHERE name = 'books/a'")
        await psql("DELETE FROM books WHERE name = 'books/a'")
        await shelf.until(lambda: len(shelf.heard) >= 3)
    created, updated, deleted = shelf.heard
    assert [one.what for one in shelf.heard] == ["created", "updated", "deleted"]
    assert created.attributes | {"id": "", "time": ""} == {
        "specversion": "1.0",
        "id": "",
        "source": "//shelf.example.com",
        "type": "shelf.v1.Book.created",
        "subject": "books/a",
        "time": "",
        "dataschema": "https://type.googleapis.com/shelf.v1.Book",
    }
    assert created.attributes["time"].endswith("Z")
    data = {name: created.data[name] for name in ("name", "title", "tags", "notes")}
    assert data == {"name": "books/a", "title": 'A "b" (c), \\d', "tags": ["x", "y,z"], "notes": {"k": "v"}}
    assert created.data["etag"] != updated.data["etag"]
    assert updated.data == {**created.data, "copies": 3, "etag": updated.data["etag"]}
    assert (deleted.data, deleted.attributes["subject"]) == (None, "books/a")


async def test_the_changes_of_one_transaction_have_ids_of_their_own(shelf: Shelf) -> None:
    with shelf.publisher():
        await shelf.begun()
        await shelf.database.psql(
            "INSERT INTO books (name, title) SELECT 'books/' || n, 'T' FROM generate_series(1, 1200) AS n"
        )
        await shelf.until(lambda: len(shelf.heard) >= 1200)
    assert len({one.attributes["id"] for one in shelf.heard}) == 1200
    assert [one.data["name"] for one in shelf.heard] == [f"books/{n}" for n in range(1, 1201)]


async def test_a_large_value_that_a_change_left_alone_is_in_its_event(shelf: Shelf) -> None:
    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=20_000))
    with shelf.publisher():
        await shelf.begun()
        await shelf.database.psql(f"INSERT INTO books (name, title, text) VALUES ('books/a', 'A', '{text}')")
        await shelf.database.psql("UPDATE books SET copies = 1 WHERE name = 'books/a'")
        await shelf.until(lambda: len(shelf.heard) >= 2)
    assert shelf.heard[1].data["text"] == text
    assert shelf.heard[1].data["copies"] == 1


async def test_what_cannot_be_told_one_by_one_is_told_as_a_reset(shelf: Shelf) -> None:
    with shelf.publisher():
        await shelf.begun()
        await shelf.database.psql("TRUNCATE books")
        await shelf.until(lambda: shelf.heard)
    assert shelf.heard[0].attributes["type"] == "shelf.v1.Book.reset"
    assert "subject" not in shelf.heard[0].attributes


async def test_while_nobody_publishes_changes_are_kept_and_a_lost_slot_is_told(shelf: Shelf) -> None:
    psql = shelf.database.psql
    with shelf.publisher():
        await shelf.begun()
    await psql("INSERT INTO books (name, title) VALUES ('books/a', 'A')")
    with shelf.publisher():
        await shelf.until(lambda: shelf.heard)
    assert [one.what for one in shelf.heard] == ["created"]
    await psql("SELECT pg_drop_replication_slot('entresol_events')")
    with shelf.publisher():
        await shelf.until(lambda: len(shelf.heard) > 1)
    assert shelf.heard[1].what == "reset"


async def test_what_is_published_anew_costs_others_no_event(shelf: Shelf) -> None:
    psql = shelf.database.psql
    with shelf.publisher():
        await shelf.begun()
    await psql("INSERT INTO books (name, title) VALUES ('books/a', 'A')")
    await psql("ALTER PUBLICATION entresol_events SET TABLE readers")  # as a release would have left it
    with shelf.publisher():
        await shelf.until(lambda: len(shelf.heard) >= 2)
    assert {one.what for one in shelf.heard} == {"reset", "created"}


async def test_another_publisher_takes_over(shelf: Shelf) -> None:
    with shelf.publisher() as first:
        await shelf.begun()
        with shelf.publisher():
            first.send_signal(SIGKILL)
            await shelf.database.psql("INSERT INTO books (name, title) VALUES ('books/a', 'A')")
            await shelf.until(lambda: shelf.heard)


RECORDS, ROUNDS = 6, 2


@pytest.mark.timeout(180)
async def test_every_change_comes_in_order_though_publisher_and_broker_are_killed(shelf: Shelf) -> None:
    """Writers count records up, one commit for each number; listeners drop what came before by its id."""
    await shelf.database.psql(
        f"INSERT INTO books (name, title) SELECT 'books/' || n, 'T' FROM generate_series(1, {RECORDS}) AS n"
    )
    stop, dice = asyncio.Event(), random.Random(3)
    with ExitStack() as stack:
        process = stack.enter_context(shelf.publisher())
        await shelf.begun()
        stack.callback(stop.set)
        writers = [asyncio.create_task(_count(shelf, f"books/{n}", stop)) for n in range(1, RECORDS + 1)]
        for _ in range(ROUNDS):
            await asyncio.sleep(dice.uniform(0.5, 1.5))
            process.send_signal(SIGKILL)
            process = stack.enter_context(shelf.publisher())
            await asyncio.sleep(dice.uniform(5.0, 6.0))
            await shelf.broker.kill()
            await asyncio.sleep(dice.uniform(0.0, 1.0))
            await shelf.broker.start()
        stop.set()
        last = {f"books/{n}": count for n, count in enumerate(await asyncio.gather(*writers), 1)}

        def is_all() -> bool:
            return {one.data["name"]: one.data["copies"] for one in shelf.heard} == last

        await shelf.until(is_all, 60.0)
    seen: set[str] = set()
    numbers: dict[str, list[int]] = defaultdict(list)
    for one in shelf.heard:
        if one.attributes["id"] not in seen:
            seen.add(one.attributes["id"])
            numbers[one.data["name"]].append(one.data["copies"])
    assert numbers == {name: [*range(1, count + 1)] for name, count in last.items()}
    assert len(shelf.heard) > len(seen), "no event came twice, so that the blows have met nothing"


async def _count(shelf: Shelf, name: str, stop: asyncio.Event) -> int:
    count = 0
    async with connect_primary(shelf.database.write_url) as connection:
        while not stop.is_set():
            await connection.execute("UPDATE books SET copies = copies + 1 WHERE name = $1", name)
            count += 1
            await asyncio.sleep(0.01)
    return count
