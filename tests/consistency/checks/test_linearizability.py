"""The checker gives the verdict that is right, and none when it would have to search too much."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.consistency.checks.examples import any_order_explains, changed_calls, register_calls
from tests.consistency.checks.linearizability import Call, Verdict, check
from tests.consistency.checks.models import STORE, register

REGISTER = register()


def _write(value: int, start: float, end: float | None) -> Call:
    return Call("register", "write", value, None, start, end)


def _read(value: int | None, start: float, end: float) -> Call:
    return Call("register", "read", None, value, start, end)


def _swap(expected: int, new: int, result: bool, start: float, end: float | None) -> Call:
    return Call("register", "compare_and_set", (expected, new), result, start, end)


LINEARIZABLE = {
    "nothing": (),
    "reads around a write that is under way": (
        _write(1, 0, 10), _read(None, 1, 2), _read(1, 3, 4)
    ),
    "concurrent writes in either order": (_write(1, 0, 10), _write(2, 0, 10), _read(2, 11, 12), _read(2, 13, 14)),
    "a write whose client gave up shows late": (
        _write(1, 0, None), _write(2, 1, 2), _read(2, 3, 4), _read(1, 5, 6)
    ),
    "a write whose client gave up never shows": (_write(1, 0, None), _read(None, 3, 4), _read(None, 5, 6)),
    "the swap that found its value was first": (
        _write(1, 0, 1), _swap(1, 2, True, 2, 5), _swap(1, 3, False, 2, 5), _read(2, 6, 7)
    ),
    "equal times are concurrent": (_write(1, 0, 5), _read(None, 5, 6)),
    "two swaps whose clients gave up, one after the other": (
        _write(1, 0, 1), _swap(2, 3, False, 1, None), _swap(1, 2, False, 1, None), _read(3, 4, 5)
    ),
}  # fmt: skip
NOT_LINEARIZABLE = {
    "an old value after the write": (_write(1, 0, 1), _write(2, 2, 3), _read(1, 4, 5)),
    "new, then old, within one write": (_write(1, 0, 10), _read(1, 1, 2), _read(None, 3, 4)),
    "readers that saw concurrent writes in two orders": (
        _write(1, 0, 10), _write(2, 0, 10), _read(1, 1, 2), _read(2, 3, 4), _read(1, 5, 6)
    ),
    "a value from nowhere": (_write(1, 0, 1), _read(7, 0, 9)),
    "a value from the future": (_read(1, 0, 1), _write(1, 2, 3)),
    "both swaps found the value": (
        _write(1, 0, 1), _swap(1, 2, True, 2, 5), _swap(1, 3, True, 2, 5)
    ),
    "a swap that missed what was there": (_write(1, 0, 1), _swap(1, 2, False, 2, 5)),
    "one lost write cannot show twice": (
        _write(1, 0, None), _write(2, 0, 1), _read(1, 2, 3), _write(2, 4, 5), _read(1, 6, 7)
    ),
}  # fmt: skip


@pytest.mark.parametrize("calls", LINEARIZABLE.values(), ids=LINEARIZABLE)
def test_it_accepts(calls: tuple[Call, ...]) -> None:
    assert check(calls, REGISTER).verdict is Verdict.LINEARIZABLE
    assert any_order_explains(calls, REGISTER)


@pytest.mark.parametrize("calls", NOT_LINEARIZABLE.values(), ids=NOT_LINEARIZABLE)
def test_it_refuses(calls: tuple[Call, ...]) -> None:
    outcome = check(calls, REGISTER)
    assert outcome.verdict is Verdict.NOT_LINEARIZABLE
    assert outcome.stuck in calls
    assert not any_order_explains(calls, REGISTER)


def test_the_call_that_no_order_explains_is_named() -> None:
    impossible = _read(1, 4, 5)
    calls = (_write(1, 0, 1), _write(2, 2, 3), impossible, _read(2, 6, 7), _read(2, 8, 9))
    assert check(calls, REGISTER).stuck == impossible


def test_a_store_appends_in_one_order_for_all_readers() -> None:
    first, second = (Call("k", "append", text, None, 0, 10) for text in "ab")
    assert check((first, second, Call("k", "get", None, "ba", 11, 12)), STORE).verdict is Verdict.LINEARIZABLE
    both = (Call("k", "get", None, "ab", 11, 12), Call("k", "get", None, "ba", 11, 12))
    assert check((first, second, *both), STORE).verdict is Verdict.NOT_LINEARIZABLE
    put = Call("k", "put", "c", None, 1, 2)
    assert check((first, put, Call("k", "get", None, "ca", 11, 12)), STORE).verdict is Verdict.LINEARIZABLE
    assert check((put, Call("k", "get", None, "", 11, 12)), STORE).verdict is Verdict.NOT_LINEARIZABLE


def test_keys_are_histories_of_their_own() -> None:
    written = Call("one", "put", "a", None, 0, 1)
    assert check((written, Call("two", "get", None, "", 2, 3)), STORE).verdict is Verdict.LINEARIZABLE
    assert check((written, Call("one", "get", None, "", 2, 3)), STORE).verdict is Verdict.NOT_LINEARIZABLE


def test_too_many_orders_are_undecided_and_never_guessed() -> None:
    writes = [Call("k", "append", letter, None, 0, 10) for letter in "abcdefg"]
    impossible = Call("k", "get", None, "a", 11, 12)
    assert check((*writes, impossible), STORE, states_max=500).verdict is Verdict.UNDECIDED
    assert check((*writes, impossible), STORE).verdict is Verdict.NOT_LINEARIZABLE


def test_the_search_is_bounded_by_its_states_over_all_and_not_only_at_a_time() -> None:
    calls = [
        _write(10 * part + number, 100 * part, 100 * part + 10) for part in range(50) for number in range(6)
    ]
    reads = [_read(10 * part, 100 * part + 11, 100 * part + 12) for part in range(50)]
    outcome = check((*calls, *reads), REGISTER, states_max=100)
    assert outcome.verdict is Verdict.UNDECIDED
    assert outcome.states <= len(calls) + len(reads) + 100


def test_a_long_history_needs_neither_recursion_nor_memory() -> None:
    calls = [
        call
        for number in range(5_000)
        for call in (
            _write(number, 10 * number, 10 * number + 12),
            _read(number, 10 * number + 4, 10 * number + 9),
        )
    ]
    assert check(calls, REGISTER, states_max=100).verdict is Verdict.LINEARIZABLE
    calls[-1] = _read(0, 1e9, 1e9 + 1)
    assert check(calls, REGISTER, states_max=100).verdict is Verdict.NOT_LINEARIZABLE


@settings(deadline=None)
@given(register_calls())
def test_what_a_real_register_did_is_linearizable(calls: tuple[Call, ...]) -> None:
    assert check(calls, REGISTER).verdict is Verdict.LINEARIZABLE


@settings(deadline=None)
@given(register_calls(), st.data())
def test_a_read_of_what_was_never_written_is_not(calls: tuple[Call, ...], data: st.DataObject) -> None:
    reads = [number for number, call in enumerate(calls) if call.kind == "read" and call.end is not None]
    assume(reads)
    changed = data.draw(st.sampled_from(reads))
    calls = (*calls[:changed], replace(calls[changed], result=99), *calls[changed + 1 :])
    assert check(calls, REGISTER).verdict is Verdict.NOT_LINEARIZABLE


@settings(max_examples=400, deadline=None)
@given(changed_calls())
def test_the_verdict_is_that_of_trying_every_order(calls: tuple[Call, ...]) -> None:
    is_linearizable = check(calls, REGISTER).verdict is Verdict.LINEARIZABLE
    assert is_linearizable == any_order_explains(calls, REGISTER)
