"""Places and entries are computed alike by every process."""

from __future__ import annotations

from entresol.cache import Entry, Key, Rank
from entresol.cache.entry import body, hexed, parse, stamp
from entresol.cache.keys import Layout


def test_places_are_the_same_in_every_process() -> None:
    place = Layout("entresol", 4, 16).place("items", "items/a")
    assert place.entry == b"{entresol:%d}:e:items:items/a" % place.partition
    assert place.lease == b"{entresol:%d}:l:items:items/a" % place.partition
    assert (place.partition, place.bucket) == (0, b"m:2")


def test_the_public_schema_goes_without_saying() -> None:
    layout = Layout("entresol", 1, 16)
    assert layout.place("public.items", "a") == layout.place("items", "a")
    assert Key.of("public.items", "a") == Key("items", "a")
    assert layout.place("other.items", "a") != layout.place("items", "a")


def test_records_spread_over_partitions_and_buckets() -> None:
    layout = Layout("entresol", 4, 8)
    places = [layout.place("items", f"items/{number}") for number in range(2000)]
    assert {place.partition for place in places} == set(range(4))
    assert len({(place.partition, place.bucket) for place in places}) == 32


def test_text_orders_as_numbers_do() -> None:
    numbers = [0, 1, 9, 10, 255, 256, 1 << 40, (1 << 53) + 1, (1 << 64) - 1]
    assert sorted(map(hexed, numbers)) == [hexed(number) for number in numbers]
    assert stamp(7, Rank.VALUE) < stamp(7, Rank.ABSENT) < stamp(8, Rank.VALUE)


def test_an_entry_is_read_in_its_own_generation_and_revision_only() -> None:
    data = (
        b"generate"
        + stamp(7, Rank.VALUE)
        + b"d"
        + hexed(99)
        + body("1", b"message", seen=6, expiry_ms=8, cost_ms=4)
    )
    assert parse(data, b"generate", 5, b"00000001") == Entry(7, Rank.VALUE, 99, 5, b"message", 6, 8, 4)
    assert parse(data, b"anothers", 5, b"00000001") is None
    assert parse(data, b"generate", 5, b"00000002") is None
    assert parse(None, b"generate", 5, b"00000001") is None


def test_the_record_of_an_entry_is_known_by_its_key_where_the_layout_put_it() -> None:
    layout = Layout("en*tre", 4, 16)
    entry = layout.place("public.zoo.animals", "zoos/a:b/animals/1").entry
    assert layout.key(entry) == Key.of("public.zoo.animals", "zoos/a:b/animals/1")
    assert layout.key(layout.place("animals", "a").lease) is None
    assert layout.key(b"{en*tre:9}:e:animals:a") is None
    assert layout.key(b"") is None
    assert layout.pattern == rb"{en\*tre:*}:e:*"
