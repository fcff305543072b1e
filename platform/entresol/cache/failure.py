"""The one error inside the cache: commands did not get their replies. It never leaves this package."""

from __future__ import annotations


class CacheError(Exception):
    """The server did not answer, or answered with an error; whether it did the work is not known.

    `reason` is a word for the counter: closed, full, lost, open, senseless, timeout, unreachable, or the server's own.
    """

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason
