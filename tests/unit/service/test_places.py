"""Whatever is registered has a place that can be opened, or at least a module."""

from __future__ import annotations

import functools
import inspect
import os
from typing import Any

import pytest

from entresol.service.places import place


def function(request: Any, call: Any) -> bool:
    return True


@functools.wraps(function)
def wrapper(*arguments: Any) -> bool:
    return function(*arguments)


class Rules:
    def __call__(self, request: Any, call: Any) -> bool:
        return True


@pytest.mark.parametrize(
    ("registered", "written"),
    [
        (function, function),
        (wrapper, function),
        (functools.partial(function, None), function),
        (Rules, Rules),
        (Rules(), Rules),
        (Rules().__call__, Rules.__call__),
    ],
)
def test_what_is_written_in_python_has_a_file_and_a_line(registered: Any, written: Any) -> None:
    assert place(registered) == (os.path.relpath(__file__), inspect.getsourcelines(written)[1])


def test_what_is_not_has_its_module() -> None:
    assert place(dict) == ("builtins", 1)
    assert place(len) == ("builtins", 1)
