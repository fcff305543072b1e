"""Each race of lists on real servers: the list shown is that of the database, and without the rule it is not.

In every one a record comes or goes beyond what is shown of the list, so that no row gives it away.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from tests.integration.cache.conftest import OpenBoard
from tests.integration.cache.notes import NOTE, Board
from tests.integration.cache.stage import copy_of, fail_over, without

from entresol.cache.connection import Connection
from entresol.cache.feed import RowChange
from entresol.cache.keys import Layout, Place
from entresol.cache.lists import Listed, Lists, Look
from entresol.cache.scopes import NO_SCOPES, Scopes
from entresol.cache.wire import Command, Reply


async def lost_invalidation(board: Board) -> None:
    """Fail Redis over to a copy that has the list and not the change in its scope."""
    async with board.relaying():
        await board.cached(board.query(parent="a"))
        copy = await copy_of(board.entries)
        await board.note("a/1")
        await board.applied()
        await fail_over(board.entries, copy)
        await board.applied()


async def change(board: Board) -> None:
    """Insert a record into the list."""
    async with board.relaying():
        await board.cached(board.query(parent="a"))
        await board.note("a/1")
        await board.applied()


async def unstamped_change(board: Board) -> None:
    """Insert a record into the list while a relay works that does not know the scope, longer than is kept."""
    board.settings = replace(board.settings, relay_retain_s=0.0)
    async with board.relaying():
        await board.cached(board.query(parent="a"))
    async with board.relaying(NO_SCOPES):
        await board.note("a/1")
        await board.applied()
        await board.applied()  # with the next status, the slot has forgotten what came before
    async with board.relaying():
        await board.applied()


@dataclass(frozen=True)
class Race:
    """A race, and the rule in the scripts that wins it."""

    play: Callable[[Board], Awaitable[None]]
    rule: str

    def __str__(self) -> str:
        return self.play.__name__


RACES = (
    Race(lost_invalidation, "rewind"),
    Race(change, "bucket moves"),
    Race(unstamped_change, "new scopes"),
)


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_a_race_ends_with_the_list_of_the_database(race: Race, open_board: OpenBoard) -> None:
    async with open_board() as board:
        await race.play(board)
        assert await board.is_right(board.query(parent="a"))


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_without_its_rule_the_race_is_lost(race: Race, open_board: OpenBoard) -> None:
    async with open_board(without(race.rule)) as board:
        await race.play(board)
        assert not await board.is_right(board.query(parent="a"))


@dataclass(frozen=True)
class New:
    """A change of which only what the row became is known."""

    table: str
    new: dict[str, str | None] | None
    old: None = None


class Forgetful(Scopes):
    """The scopes without the rule that a change touches the lists that the row was in before."""

    def touched(self, change: RowChange, layout: Layout) -> Iterator[Place]:
        return Scopes.touched(self, New(change.table, change.new), layout)


@pytest.mark.parametrize("kind", [Scopes, Forgetful])
async def test_32_a_record_that_moves_touches_the_list_it_leaves(
    kind: type[Scopes], open_board: OpenBoard
) -> None:
    async with open_board() as board, board.relaying(kind.of(board.model.resources.values())):
        await board.note("a/1", "ann")
        await board.note("a/2", "ann")
        await board.applied()
        first_of_two = board.query("owner = ann", limit=1)
        assert (await board.cached(first_of_two)).last
        await board.note("a/2", "bob")
        await board.applied()
        assert await board.is_right(first_of_two) is (kind is Scopes)


class Torn:
    """A connection without the rule that a watermark and a stamp are read at one moment: the stamp is read first."""

    def __init__(self, connection: Connection, between: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._between = between

    async def execute(self, *commands: Command) -> list[Reply]:
        early, data = await self._connection.execute(*commands)
        await self._between()
        late, _ = await self._connection.execute(*commands)
        return [[late[0], *early[1:]], data]


@pytest.mark.parametrize("is_torn", [False, True])
async def test_33_a_watermark_from_after_the_stamp_would_promise_too_much(
    is_torn: bool, open_board: OpenBoard
) -> None:
    async with open_board() as board:
        query = board.query(parent="a")
        async with board.relaying():
            await board.cached(query)
        seen = await board.note("a/1")

        async def apply() -> None:
            async with board.relaying():
                await board.applied()

        lists = board.listings.lists
        assert lists is not None
        if is_torn:
            torn = Torn(board.entries.connection, apply)
            board.listings.lists = Lists(torn, board.entries.layout, lists.scopes)
        else:
            await apply()
        assert ((await board.list(query, seen=seen)).rows == ("1",)) is not is_torn


@pytest.mark.parametrize("is_late", [False, True])
async def test_34_a_position_from_after_the_rows_would_hide_a_change(
    is_late: bool, open_board: OpenBoard
) -> None:
    async with open_board() as board, board.relaying():
        query = board.query(parent="a")
        lists = board.listings.lists
        assert lists is not None

        async def look() -> Look:
            return await lists.get(NOTE, ("parent=boards/a",), board.store.digest(NOTE, query))

        before = await look()
        page = await board.store.list(NOTE, query, primary=True)
        await board.note("a/1")
        await board.applied()
        after = await look()
        rows = tuple((row.name, row.version) for row in page.rows)
        await lists.fill(after if is_late else before, NOTE, 60.0, Listed(rows, (), 0), page.position)
        assert await board.is_right(query) is not is_late
