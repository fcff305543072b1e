"""The one error inside the cache: commands did not get their replies. It never leaves this package."""

from __future__ import annotations


class CacheError(Exception):
    """The server did not answer, or answered with an error; whether it did the work is not known."""
