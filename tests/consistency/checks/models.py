"""The sequential objects that histories are compared with: a register, and a store of texts."""

from __future__ import annotations

from collections.abc import Hashable

from tests.consistency.checks.linearizability import REFUSED, Call, Model


def register(initial: Hashable = None) -> Model:
    """Return a register with "read", "write", and "compare_and_set".

    The argument of the last is a pair (expected, new), its result whether the register held what was expected.
    """
    return Model(initial, _step_register, _is_pure_register)


def _step_register(state: Hashable, call: Call) -> Hashable:
    if call.kind == "write":
        return call.argument
    if call.kind == "read":
        return state if call.end is None or call.result == state else REFUSED
    assert isinstance(call.argument, tuple)
    expected, new = call.argument
    if call.end is not None and call.result != (state == expected):
        return REFUSED
    return new if state == expected else state


def _is_pure_register(call: Call) -> bool:
    return call.kind == "read" or (call.kind == "compare_and_set" and not call.result)


def _step_store(state: Hashable, call: Call) -> Hashable:
    if call.kind == "put":
        return call.argument
    if call.kind == "append":
        return f"{state}{call.argument}"
    return state if call.end is None or call.result == state else REFUSED


STORE = Model("", _step_store, lambda call: call.kind == "get")
"""One key of a store with "get", "put" and "append" of texts; what was never put is empty."""
