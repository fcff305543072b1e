"""Cached lists: shown while nothing in their scope changed, and never once something did (rule R6)."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.integration.cache.conftest import OpenBoard
from tests.integration.cache.notes import NOTE, TABLES, WORD, Board
from tests.integration.cache.stage import copy_of, fail_over

from entresol.cache.scopes import NO_SCOPES
from entresol.schema.model import Consistency
from entresol.storage.catalog import read_catalog
from entresol.storage.migration import split_statements
from entresol.storage.plan import plan
from entresol.storage.slots import prepare
from entresol.storage.store import ListQuery, Page, Store


async def test_a_list_that_was_read_is_answered_by_the_cache(board: Board) -> None:
    await board.note("a/1", rank=2)
    await board.note("a/2", rank=1)
    await board.note("b/3")
    await board.applied()
    query = board.query(parent="a", order="rank")
    first = await board.list(query)
    assert (first.rows, first.answered_by) == (("2", "1"), "primary")
    assert (await board.cached(query)).messages == first.messages


async def test_a_cached_page_knows_where_the_next_one_begins(board: Board) -> None:
    for number in range(5):
        await board.note(f"a/{number}", rank=number // 2)
    await board.applied()
    first = await board.cached(board.query(parent="a", order="rank desc", limit=2))
    assert first.rows == ("4", "2")
    second = await board.cached(board.query(parent="a", order="rank desc", limit=3, after=first.last))
    assert second.rows == ("3", "0", "1")
    assert second.last == ()


async def test_that_there_is_nothing_is_cached_too(board: Board) -> None:
    assert (await board.cached(board.query(parent="a"))).rows == ()
    await board.note("a/1")
    await board.applied()
    assert (await board.list(board.query(parent="a"))).rows == ("1",)


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO notes (name, parent, owner) VALUES ('boards/a/notes/9', 'boards/a', 'ann')",
        "UPDATE notes SET rank = 9 WHERE name = 'boards/a/notes/1'",
        "UPDATE notes SET name = 'boards/a/notes/9' WHERE name = 'boards/a/notes/1'",
        "DELETE FROM notes WHERE name = 'boards/a/notes/1'",
        "TRUNCATE notes",
    ],
)
@pytest.mark.parametrize(
    ("parent", "text"),
    [("a", ""), (None, ""), (None, "owner = ann"), ("a", "owner = ann AND pinned = false")],
)
async def test_what_people_do_with_psql_is_seen(
    board: Board, change: str, parent: str | None, text: str
) -> None:
    await board.note("a/1", rank=1)
    await board.note("a/2", rank=2)
    await board.applied()
    query = board.query(text, parent=parent, order="rank desc")
    before = await board.cached(query)
    await board.psql(change)
    await board.applied()
    after = await board.list(query)
    assert after.rows != before.rows or "UPDATE notes SET rank" in change
    assert after.messages == (await board.truth(query)).messages


async def test_a_record_that_moves_is_missed_in_one_list_and_found_in_the_other(board: Board) -> None:
    await board.note("a/1", "ann")
    await board.applied()
    of_ann, of_bob = board.query("owner = ann"), board.query("owner = bob")
    assert (await board.cached(of_ann)).rows == ("1",)
    assert (await board.cached(of_bob)).rows == ()
    await board.note("a/1", "bob")
    await board.applied()
    assert (await board.list(of_ann)).rows == ()
    assert (await board.list(of_bob)).rows == ("1",)


async def test_a_record_that_gets_another_parent_leaves_the_list_of_the_first(board: Board) -> None:
    await board.note("a/1")
    await board.applied()
    assert (await board.cached(board.query(parent="a"))).rows == ("1",)
    assert (await board.cached(board.query(parent="b"))).rows == ()
    await board.psql("UPDATE notes SET name = 'boards/b/notes/1', parent = 'boards/b'")
    await board.applied()
    assert (await board.list(board.query(parent="a"))).rows == ()
    assert (await board.list(board.query(parent="b"))).rows == ("1",)


async def test_a_change_elsewhere_leaves_a_list_in_the_cache(board: Board) -> None:
    await board.note("a/1", "ann")
    await board.note("b/2", "bob")
    await board.applied()
    queries = [
        board.query(parent="a"),
        board.query("owner = ann"),
        board.query("pinned = true AND owner = ann"),
    ]
    for query in queries:
        await board.cached(query)
    await board.note("b/2", "bob", rank=7)
    await board.applied()
    assert all([(await board.list(query)).cached for query in queries])


async def test_lists_of_no_declared_scope_come_from_the_database(board: Board) -> None:
    await board.psql("INSERT INTO words (name, count) VALUES ('words/a', 3)")
    await board.applied()
    everything, threes = board.query(resource=WORD), board.query("count = 3", resource=WORD)
    for _ in range(3):
        assert (await board.list(everything, resource=WORD)).answered_by == "primary"
    assert (await board.cached(threes, resource=WORD)).rows == ("a",)
    await board.psql("UPDATE words SET count = 4")
    await board.applied()
    assert (await board.list(threes, resource=WORD)).rows == ()


async def test_who_asks_for_the_last_commit_is_never_shown_a_cached_list(board: Board) -> None:
    query = board.query(parent="a")
    await board.cached(query)
    assert (await board.list(query, consistency=Consistency.STRONG)).answered_by == "primary"


async def test_a_session_is_not_shown_a_list_from_before_its_write(open_board: OpenBoard) -> None:
    async with open_board() as board:
        query = board.query(parent="a")
        async with board.relaying():
            await board.cached(query)
        seen = await board.note("a/1")
        assert (await board.list(query)).rows == ()  # nobody has told the cache yet
        assert (await board.list(query, seen=seen, consistency=Consistency.EVENTUAL)).rows == ()
        assert (await board.list(query, seen=seen)).rows == ("1",)
        async with board.relaying():
            await board.applied()
            await board.cached(query)
            assert (await board.list(query, seen=seen)).cached


async def test_a_list_is_not_shown_with_a_row_that_has_moved_on(open_board: OpenBoard) -> None:
    async with open_board() as board:
        query = board.query(parent="a", order="rank")
        async with board.relaying():
            await board.note("a/1", rank=1)
            await board.note("a/2", rank=2)
            await board.applied()
            await board.cached(query)
        async with board.records.transaction() as transaction:  # the new row is put; no relay has told of it
            name = "boards/a/notes/1"
            note = NOTE.message_class(name=name, owner="ann", rank=3)
            assert await transaction.update(NOTE, note, [NOTE.by_name["rank"]], version=None)
        assert (await board.list(query)).rows == ("2", "1")


async def test_a_cached_list_that_redis_lost_the_invalidation_of_is_found_out(board: Board) -> None:
    query = board.query(parent="a")
    await board.cached(query)
    copy = await copy_of(board.entries)
    await board.note("a/1")
    await board.applied()
    await fail_over(board.entries, copy)
    await board.applied()
    assert await board.is_right(query)


async def test_a_new_generation_makes_every_list_invisible(board: Board) -> None:
    query = board.query(parent="a")
    await board.cached(query)
    await board.entries.connection.execute(("DEL", board.entries.layout.meta(0)))
    # Nobody looks before: the relay may be so quick that the look would fill the list anew.
    await board.applied()
    assert (await board.list(query)).answered_by == "primary"
    await board.cached(query)


async def test_a_list_of_a_replica_that_was_behind_is_shown_until_the_change_is_told(
    open_board: OpenBoard,
) -> None:
    async with open_board(replicas=True) as board:
        query = board.query(parent="a")
        async with board.replay_paused():
            async with board.relaying():
                await board.applied()
            await board.note("a/1")
            first = await board.list(query)
            assert (first.rows, first.answered_by.partition(":")[0]) == ((), "replica")
            assert (await board.list(query)).cached
            async with board.relaying():
                await board.applied()
                # The replica is behind what the cache has seen of this scope, so that it is not asked.
                assert (await board.list(query)).rows == ("1",)
                await board.cached(query)


async def test_a_relay_of_other_scopes_caches_no_list(open_board: OpenBoard) -> None:
    async with open_board() as board:
        query = board.query(parent="a")
        async with board.relaying(NO_SCOPES):
            for _ in range(3):
                assert (await board.list(query)).answered_by == "primary"
        async with board.relaying():
            await board.applied()
            await board.cached(query)


async def test_a_scope_whose_columns_are_not_sent_makes_every_list_stale(board: Board) -> None:
    await board.note("a/1", "ann")
    await board.applied()
    await board.cached(board.query("owner = ann"))
    await board.psql("CREATE UNIQUE INDEX narrow ON notes (name, row_version)")
    await board.psql("ALTER TABLE notes REPLICA IDENTITY USING INDEX narrow")
    await board.note("a/1", "bob")
    await board.applied()
    assert (await board.list(board.query("owner = ann"))).rows == ()


async def test_a_scope_is_added_to_a_table_in_use(board: Board) -> None:
    publications = ("entresol", board.settings.relay_publication)
    await board.psql("CREATE UNIQUE INDEX narrow ON notes (name, row_version)")
    await board.psql("ALTER TABLE notes REPLICA IDENTITY USING INDEX narrow")
    await board.psql("DROP INDEX notes_row_version_owner_pinned_key")
    for publication in publications:
        await board.psql(f"ALTER PUBLICATION {publication} DROP TABLE notes")
        await board.psql(f"ALTER PUBLICATION {publication} ADD TABLE notes (name, row_version)")
    await board.note("a/1", "ann")
    for text in plan(board.model, await read_catalog(board.person)).texts():
        for statement in split_statements(text):
            await board.psql(statement)
    of_ann, of_bob = board.query("owner = ann"), board.query("owner = bob")
    await board.note("a/1", "bob")
    await board.applied()
    assert (await board.list(of_ann)).rows == ()
    assert (await board.cached(of_bob)).rows == ("1",)
    await board.note("a/2", "ann")
    await board.applied()
    assert (await board.list(of_bob)).cached  # the relay is told whose notes change
    assert (await board.list(of_ann)).rows == ("2",)
    names = (board.settings.relay_slot, board.settings.relay_publication, TABLES)
    assert not (await prepare(board.settings.database_write, *names)).created


async def test_a_thousand_who_miss_one_list_are_one_query(board: Board) -> None:
    class Counting(Store):
        queries = 0

        async def list(self, *arguments: object, **options: object) -> Page:
            self.queries += 1
            return await super().list(*arguments, **options)

    store = board.records.store = Counting(board.pools, board.model)
    await board.note("a/1")
    await board.applied()
    answers = await asyncio.gather(*(board.list(board.query(parent="a")) for _ in range(1000)))
    assert {answer.rows for answer in answers} == {("1",)}
    assert store.queries == 1


async def test_a_dead_redis_costs_the_cache_and_nothing_else(board: Board) -> None:
    await board.note("a/1")
    await board.entries.close()
    assert (await board.list(board.query(parent="a"))).rows == ("1",)


def _queries(board: Board) -> list[ListQuery]:
    texts = [
        "",
        "owner = ann",
        "owner = bob AND rank > 2",
        "pinned = true AND owner = ann",
        "NOT owner = ann",
    ]
    return [
        board.query(text, parent=parent, order=order, limit=limit)
        for text in texts
        for parent in (None, "a", "b")
        for order, limit in (("", 50), ("rank desc", 3))
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_was_written_a_list_is_what_the_database_says(board: Board, seed: int) -> None:
    chance = random.Random(seed)
    queries = _queries(board)
    hits = 0
    for _ in range(120):
        name = f"{chance.choice('ab')}/{chance.randrange(6)}"
        if chance.random() < 0.2:
            seen = await board.psql(f"DELETE FROM notes WHERE name = 'boards/{name.replace('/', '/notes/')}'")
        else:
            owner, pinned = chance.choice(["ann", "bob"]), chance.random() < 0.3
            seen = await board.note(name, owner, pinned=pinned, rank=chance.randrange(5))
        for query in chance.sample(queries, 5):
            shown = await board.list(query, seen=seen)
            assert shown.messages == (await board.truth(query)).messages, f"seed {seed}: {query}"
        if chance.random() < 0.3:
            await board.applied()
            for query in chance.sample(queries, 5) * 2:
                hits += (await board.list(query)).cached
    await board.applied()
    for query in queries:
        assert await board.is_right(query), f"seed {seed}: {query}"
        hits += (await board.cached(query)).cached
    assert hits > 50
