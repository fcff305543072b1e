"""Where the functions that a team registers stand, so that what is wrong with one can be told with its place."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import partial
from typing import Any


def place(function: Callable[..., Any]) -> tuple[str, int]:
    """Return the file, relative to the working folder, and line of a function or class; of an object, of its class.

    What was not written in Python has its module instead.
    """
    while isinstance(function, partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is not None:
        return os.path.relpath(code.co_filename), code.co_firstlineno
    written = function if isinstance(function, type) else type(function)
    try:
        return os.path.relpath(inspect.getfile(written)), inspect.getsourcelines(written)[1]
    except (OSError, TypeError):
        return written.__module__, 1
