"""How the input of a batch is split, and how its readers find the server of the coordinator."""

from __future__ import annotations

from datetime import UTC, datetime

from entresol.storage.analytics import pinned
from entresol.storage.connections import Address
from entresol.storage.sql_batch import parts_by_block, source_of

WINDOW = ("create_time", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


def test_spans_of_a_window_touch_and_end_with_it() -> None:
    parts = source_of("clicks", (), "", WINDOW, "2026-01-01", is_indexed=True).parts_by_time(4)
    bounds = [part.split("'")[1::2] for part in parts]
    assert [first for first, _ in bounds[1:]] == [last for _, last in bounds[:-1]]
    assert (bounds[0][0], bounds[-1][1]) == ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")


def test_the_last_part_of_a_table_has_no_end() -> None:
    assert parts_by_block(5, 2) == [
        "ctid >= '(0,0)'::tid AND ctid < '(2,0)'::tid",
        "ctid >= '(2,0)'::tid AND ctid < '(4,0)'::tid",
        "ctid >= '(4,0)'::tid",
    ]
    assert parts_by_block(0, 2) == ["ctid >= '(0,0)'::tid"]


def test_a_key_is_a_constant_whatever_is_in_it() -> None:
    source = source_of("clicks", ("referrer",), "referrer <> ''", None, "it's", is_indexed=False)
    assert source.select() == "SELECT referrer FROM public.clicks WHERE (referrer <> '') AND true"
    assert source.run.startswith("SELECT 'it''s'::text AS key")


def test_other_drivers_are_led_to_the_very_server() -> None:
    url = "postgresql://ann:p%40ss@one:1,two:2/news?sslmode=require"
    assert pinned(url, Address("two", 2)) == "postgresql://ann:p%40ss@/news?sslmode=require&host=two&port=2"
    socket = pinned("postgresql://ann@/news?host=/run/pg&port=5", Address("/run/pg", 5))
    assert socket == "postgresql://ann@/news?host=%2Frun%2Fpg&port=5"
