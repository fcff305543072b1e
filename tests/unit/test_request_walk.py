"""The tables of platform/README.md that follow a request: each function is in the file that it is said to be in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PLATFORM = Path(__file__).resolve().parents[2] / "platform"
PACKAGE = PLATFORM / "entresol"
SECTION = re.compile(r"^## One request, downward\n(.*?)^## ", re.MULTILINE | re.DOTALL)


def cells() -> Iterator[str]:
    """Yield the cell of each row that says where something happens."""
    found = SECTION.search((PLATFORM / "README.md").read_text())
    assert found is not None
    column = 0
    for line in found[1].splitlines():
        parts = [part.strip() for part in line.strip("|").split("|")]
        if "where" in parts:
            column = parts.index("where")
        elif line.startswith("| "):
            yield parts[column]


def hops(cell: str) -> Iterator[tuple[str, str]]:
    """Yield each file of a cell, with each name that follows it; a file without names with an empty one."""
    file = ""
    for token in re.findall(r"`([^`]+)`", cell):
        if token.endswith((".py", "/")):
            file = token
            yield file, ""
        else:
            yield file, token


@cache
def defined(file: Path) -> frozenset[str]:
    """Return the functions and classes of a file, and what is within them, by itself and behind the class's name."""
    names: set[str] = set()

    def collect(node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.update({child.name, f"{owner}.{child.name}"})
                collect(child, child.name)
            else:
                collect(child, owner)

    collect(ast.parse(file.read_text()), "")
    return frozenset(names)


def test_there_are_tables_for_the_usual_ways_and_for_the_whole_ones() -> None:
    assert len(list(cells())) > 50
    files = {file for cell in cells() for file, _ in hops(cell)}
    assert {"service/quick.py", "storage/together.py", "storage/requests.py", "records/demand.py"} <= files


@pytest.mark.parametrize("cell", list(cells()))
def test_every_name_is_in_the_file_before_it(cell: str) -> None:
    for file, name in hops(cell):
        place = PACKAGE / file
        assert file, f"{name} has no file before it"
        assert place.exists(), f"{file} does not exist"
        files = sorted(place.glob("*.py")) if place.is_dir() else [place]
        assert not name or any(name in defined(one) for one in files), f"{file} has no {name}"
