"""The ways in which a call of any peer can fail; the text is for the caller."""

from __future__ import annotations


class StoryError(Exception):
    """A call that cannot be answered."""


class InvalidError(StoryError):
    """The request is wrong, whatever is stored."""


class NotFoundError(StoryError):
    """There is no story of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist")


class ExistsError(StoryError):
    """There is a story of that name already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} exists")


class ChangedError(StoryError):
    """The story is not, or no longer, what the caller's etag says."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} does not exist or has changed")
