"""Names: built and parsed without loss, and never half right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from entresol_stories.v1 import CommentName, StoryName

from entresol_client import Name


@dataclass(frozen=True, slots=True)
class SeatName(Name):
    """A name with a keyword, and no variable at its end."""

    PATTERN: ClassVar[str] = "trains/{class}/seat"

    class_: str


def test_names_are_formatted_and_parsed() -> None:
    name = CommentName(story="1", comment="c2")
    assert str(name) == "stories/1/comments/c2"
    assert CommentName.parse("stories/1/comments/c2") == name
    assert str(SeatName.parse("trains/first/seat")) == "trains/first/seat"


@pytest.mark.parametrize("text", ["", "stories", "stories/", "stories/1/2", "users/1"])
def test_what_is_no_name_of_the_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a name of the form stories/\{story\}"):
        StoryName.parse(text)


@pytest.mark.parametrize("value", ["", "a/b"])
def test_a_variable_is_one_segment(value: str) -> None:
    with pytest.raises(ValueError, match="story: "):
        StoryName(story=value)
