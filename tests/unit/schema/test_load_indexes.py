"""Names of indexes, and paths of HTTP."""

from __future__ import annotations

import pytest

from entresol.schema.indexes import default_name, parse_term
from entresol.schema.paths import Variable, blanked, is_path, variables, verb_of


def test_a_name_tells_the_table_and_the_columns() -> None:
    assert (
        default_name("news.stories", ["author", "post_time"], unique=False) == "stories_author_post_time_idx"
    )
    assert default_name("stories", ["url"], unique=True) == "stories_url_key"


def test_a_long_name_is_cut_the_same_way_every_time() -> None:
    name = default_name("stories", ["a" * 40, "b" * 40], unique=False)
    assert len(name) == 63
    assert name == default_name("stories", ["a" * 40, "b" * 40], unique=False)
    assert name.startswith("stories_aaaa")
    assert name.endswith("_idx")


def test_long_names_that_begin_alike_differ() -> None:
    names = {default_name("stories", ["a" * 60, end], unique=False) for end in "bcd"}
    assert len(names) == 3


def test_a_name_of_63_bytes_is_whole() -> None:
    assert default_name("t", ["c" * 57], unique=False) == f"t_{'c' * 57}_idx"


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("score", ("score", False)),
        ("score desc", ("score", True)),
        (" score  desc ", ("score", True)),
        ("score asc", ("score", False)),
        ("score down", ("score down", False)),
        ("desc", ("desc", False)),
    ],
)
def test_a_term_is_a_field_and_a_direction(text: str, term: tuple[str, bool]) -> None:
    assert parse_term(text) == term


def test_a_path_has_variables() -> None:
    path = "/v1/{story.name=stories/*}/{kind}:move"
    assert variables(path) == (Variable("story.name", "stories/*"), Variable("kind", "*"))
    assert blanked(path) == "/v1/stories/*/*:move"
    assert verb_of(path) == "move"


@pytest.mark.parametrize(
    "path", ["/v1/stories", "/v1/{name=stories/*}:vote", "/v1/{path=**}", "/v1/a_b-c.d~e"]
)
def test_a_path_follows_the_grammar(path: str) -> None:
    assert is_path(path)


@pytest.mark.parametrize(
    "path", ["", "v1", "/", "/v1/", "/v1//a", "/v1/{name", "/v1/a b", "/v1/:", "/v1/{a={b}}"]
)
def test_a_path_outside_the_grammar_is_told(path: str) -> None:
    assert not is_path(path)
