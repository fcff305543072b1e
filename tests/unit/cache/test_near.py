"""The near cache by itself: what is kept, for how long, how much, and what makes it forget."""

from __future__ import annotations

import tracemalloc

from entresol.cache import Entry, Rank, near
from entresol.cache.keys import Layout
from entresol.cache.near import OVERHEAD_BYTES, Near, Record
from entresol.config import Settings
from entresol.testing import ManualClock

LAYOUT = Layout("entresol", 1, 16)


class Copies:
    """A near cache that has heard a first record, with the watermark at 100."""

    def __init__(self, **settings: float) -> None:
        self.clock = ManualClock()
        self.near = Near.open(Settings(**settings), LAYOUT, clock=self.clock)
        self.number = 0
        self.hear()

    def hear(self, *names: str, watermark: int = 100, missed: int = 0) -> None:
        """Hear the next record."""
        self.number += 1 + missed
        changed = [LAYOUT.place("items", name).entry for name in names]
        self.near.hear(0, Record(b"generate", self.number, watermark, changed))

    def keep(self, name: str, entry: Entry) -> None:
        """Fetch the entry, at once."""
        self.near.keep(self.near.begin("items", [name]), [entry])

    def get(self, name: str) -> Entry | None:
        (together,) = self.near.get_all("items", [name])
        found = self.near.get("items", name)
        assert (together is None) == (found is None), "one at a time and all at once are the same"
        return found

    def has(self, name: str) -> bool:
        return self.get(name) is not None


def _entry(
    version: int = 7, rank: Rank = Rank.VALUE, watermark: int = 100, message: bytes = b"message"
) -> Entry:
    return Entry(version, rank, 50, watermark, message)


def test_what_was_fetched_is_kept_until_it_changes() -> None:
    copies = Copies()
    assert not copies.has("a")
    copies.keep("a", _entry())
    copies.keep("b", _entry())
    assert copies.get("a") == _entry()
    copies.hear("b", watermark=200)
    assert not copies.has("b")
    assert copies.get("a") == _entry(watermark=200)


def test_a_copy_of_what_has_changed_is_there_for_who_may_see_it_until_it_is_too_old() -> None:
    copies = Copies(near_age_max_s=1.0)
    copies.keep("a", _entry())
    assert copies.near.outdated("items", "a") is None
    copies.hear("a")
    assert not copies.has("a")
    assert copies.near.outdated("items", "a") == _entry()
    copies.keep("a", _entry(version=8))
    assert copies.has("a")
    assert copies.near.outdated("items", "a") is None
    copies.hear("a")
    copies.clock.advance(1.1)
    assert copies.near.outdated("items", "a") is None


def test_a_copy_that_this_process_made_old_itself_is_gone() -> None:
    copies = Copies()
    copies.keep("a", _entry())
    copies.near.drop("items", ["a"])
    copies.hear("a")
    assert copies.near.outdated("items", "a") is None


def test_after_a_gap_no_copy_is_shown_to_anybody() -> None:
    copies = Copies()
    copies.keep("a", _entry())
    copies.hear("a", missed=1)
    assert copies.near.outdated("items", "a") is None


def test_a_miss_is_not_kept() -> None:
    copies = Copies()
    copies.near.keep(copies.near.begin("items", ["a", "b"]), [None, _entry()])
    assert not copies.has("a")
    assert copies.has("b")


def test_nothing_is_kept_before_the_first_word() -> None:
    near = Near.open(Settings(), LAYOUT, clock=ManualClock())
    assert near.begin("items", ["a"]) == [None]
    near.keep([None], [_entry()])
    assert near.get("items", "a") is None


def test_a_copy_has_an_age_from_when_its_fetch_began() -> None:
    copies = Copies(near_age_max_s=1.0)
    placeholders = copies.near.begin("items", ["a"])
    copies.clock.advance(0.9)
    copies.near.keep(placeholders, [_entry()])
    copies.hear()
    assert copies.has("a")
    copies.clock.advance(0.2)
    copies.hear()
    assert not copies.has("a")
    assert copies.near.size_bytes == 0


def test_a_silent_partition_is_neither_shown_nor_filled_until_it_is_heard_again() -> None:
    copies = Copies(near_age_max_s=60.0, relay_tick_s=0.2)
    copies.keep("a", _entry())
    copies.clock.advance(0.99)
    assert copies.has("a")
    copies.clock.advance(0.02)
    assert not copies.has("a")
    copies.keep("a", _entry())
    assert not copies.has("a")
    copies.hear()
    copies.keep("a", _entry())
    assert copies.has("a")


def test_of_a_quick_relay_half_a_second_is_waited_for() -> None:
    assert Near.open(Settings(relay_tick_s=0.01), LAYOUT).silence_s_max == 0.5


def test_a_missed_record_and_a_new_generation_forget_everything() -> None:
    copies = Copies()
    copies.keep("a", _entry())
    copies.hear(missed=1)
    assert not copies.has("a")
    copies.keep("a", _entry())
    assert copies.has("a")
    copies.near.hear(0, Record(b"renewed!", copies.number + 1, 100, ()))
    assert not copies.has("a")


def test_what_is_lost_begins_anew_with_the_next_word() -> None:
    copies = Copies()
    copies.keep("a", _entry())
    copies.near.lose()
    assert not copies.has("a")
    copies.keep("a", _entry())
    assert not copies.has("a")
    copies.hear(missed=5)
    copies.keep("a", _entry())
    assert copies.has("a")


def test_a_reply_that_was_overtaken_is_not_kept() -> None:
    copies = Copies()
    placeholders = copies.near.begin("items", ["a", "b"])
    copies.hear("a")
    copies.near.keep(placeholders, [_entry(), _entry()])
    assert not copies.has("a")
    assert copies.has("b")
    placeholders = copies.near.begin("items", ["a"])
    copies.near.drop("items", ["a"])
    copies.near.keep(placeholders, [_entry()])
    assert not copies.has("a")


def test_an_entry_of_a_server_that_is_behind_what_was_heard_is_not_kept() -> None:
    copies = Copies()
    copies.keep("a", _entry(watermark=99))
    assert not copies.has("a")


def test_an_older_version_replaces_no_newer_one() -> None:
    copies = Copies()
    copies.keep("a", _entry(version=7, rank=Rank.ABSENT))
    copies.keep("a", _entry(version=7))
    copies.keep("a", _entry(version=6))
    assert copies.get("a") == _entry(version=7, rank=Rank.ABSENT)
    copies.keep("a", _entry(version=8))
    assert copies.get("a") == _entry(version=8)
    copies.keep("a", _entry(version=0, rank=Rank.ABSENT))  # of a version that is not known
    assert copies.get("a") == _entry(version=0, rank=Rank.ABSENT)


def test_the_least_recently_used_copies_make_room() -> None:
    message = b"x" * 1000
    copy_bytes = len(LAYOUT.place("items", "a").entry) + len(message) + OVERHEAD_BYTES
    copies = Copies(near_bytes_max=3 * copy_bytes)
    for name in "abc":
        copies.keep(name, _entry(message=message))
    assert copies.near.size_bytes == 3 * copy_bytes
    assert copies.has("a")
    copies.keep("d", _entry(message=message))
    assert [name for name in "abcd" if copies.has(name)] == ["a", "c", "d"]
    assert copies.near.size_bytes == 3 * copy_bytes
    copies.keep("b", _entry(message=b"x" * 4 * copy_bytes))
    assert [name for name in "abcd" if copies.has(name)] == ["a", "c", "d"]
    copies.near.drop("items", ["a", "c", "d"])
    assert copies.near.size_bytes == 0


def test_what_a_copy_is_taken_to_weigh_is_about_what_it_weighs() -> None:
    copies = Copies(near_bytes_max=1 << 30)
    names = [f"items/{number}" for number in range(4096)]
    for name in names:
        LAYOUT.place("items", name)
        copies.near.begin("items", [name])
    tracemalloc.start()
    for number, name in enumerate(names):
        copies.keep(name, _entry(1 << 40 | number, Rank.VALUE, 1 << 41 | number, bytes(200)))
    # Other threads of this process, left by other tests, allocate meanwhile: what they do is elsewhere.
    ours = [tracemalloc.Filter(True, path) for path in (near.__file__, __file__)]
    traces = tracemalloc.take_snapshot().filter_traces(ours).traces
    tracemalloc.stop()
    weighed = sum(trace.size for trace in traces)
    assert 0.5 * copies.near.size_bytes < weighed < copies.near.size_bytes
