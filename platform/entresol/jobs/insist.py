"""Ask the database again and again, for what must be heard however long it is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from entresol.errors import EntresolError, InvalidArgumentError

log = logging.getLogger(__name__)
Result = TypeVar("Result")

_AGAIN_S = 0.2


async def insist(
    ask: Callable[[], Awaitable[Result]],
    away: Callable[[], None] = lambda: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Result:
    """Return what `ask` returns once it raises no error of the platform; `away` is called after each that it does.

    Raises:
        InvalidArgumentError: of `ask`; another try would only meet it again.
        EntresolError: of `ask`, when `is_over` says that there is no more use.
    """
    is_told = False
    while True:
        try:
            return await ask()
        except InvalidArgumentError:
            raise
        except EntresolError as error:
            if not is_told:
                log.warning("the database does not answer, and is asked again: %s", error.message)
            is_told = True
            away()
            if is_over():
                raise
            await asyncio.sleep(_AGAIN_S)
