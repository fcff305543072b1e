"""A service's own tests, as protos/testing.md shows them, pass in a new folder: again, in parallel, over migrations."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from entresol.testing import Databases

README = Path(__file__).parents[2] / "protos" / "README.md"
FILES = ("conftest.py", "tests/test_books.py", "tests/test_counting.py", "tests/test_conformance.py")
PASSED = "19 passed"


def blocks(language: str, text: str) -> Iterator[str]:
    return iter(re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL))


def _of(language: str, text: str, mark: str) -> str:
    return next(block for block in blocks(language, text) if mark in block)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    service, jobs, tests = (
        README.with_name(name).read_text() for name in ("README.md", "jobs.md", "testing.md")
    )
    files = {
        "protos/library/v1/library.proto": next(blocks("proto", service)),
        "protos/functions.py": next(blocks("python", service)),
        "protos/library/v1/counting.proto": _of("proto", jobs, "service CountingService"),
        "protos/library/functions.py": _of("python", jobs, "entresol.batch("),
        **dict(zip(FILES, blocks("python", tests), strict=False)),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(folder: Path, *command: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_tests_of_the_readme_pass_again_and_in_parallel(folder: Path) -> None:
    for arguments in ((), ("-n", "2")):
        code, output = run(folder, "pytest", *arguments)
        assert code == 0, output
        assert PASSED in output


def test_under_the_policy_of_the_readme_they_pass_with_what_it_asks_for(folder: Path) -> None:
    functions = folder / "protos" / "functions.py"
    policy = _of("python", README.read_text(), "@entresol.authorizer")
    functions.write_text(f"{functions.read_text()}\n\n{policy}")
    code, output = run(folder, "pytest")
    assert code == 1
    assert "an anonymous caller may not call library.v1.BookService.CreateBook here" in output
    card = '{"x-library-card": "librarian"}'
    for test in (folder / "tests").iterdir():
        if test.is_file():
            called = re.sub(r'(platform\.call\("[^"]+"), ', rf"\1, {card}, ", test.read_text())
            called = re.sub(r"(platform\.wait\([\w.]+)", rf"\1, {card}", called)
            test.write_text(
                called.replace("case.run(platform.address)", f"case.run(platform.address, {card})")
            )
    code, output = run(folder, "pytest")
    assert code == 0, output
    assert PASSED in output


def test_a_function_that_does_nothing_fails_them(folder: Path) -> None:
    functions = folder / "protos" / "functions.py"
    functions.write_text(functions.read_text().replace("book.lend_time.GetCurrentTime()", "pass"))
    code, output = run(folder, "pytest", "tests/test_books.py")
    assert code == 1
    assert "2 failed" in output


def test_a_migration_that_was_forgotten_fails_them_until_it_is_written(
    folder: Path, databases: Databases
) -> None:
    (folder / "migrations" / "library").mkdir(parents=True)
    code, output = run(folder, "pytest", "tests/test_books.py")
    assert code == 1
    assert "table public.books is missing" in output

    async def empty(_url: str) -> None:
        """Leave the database as it is."""

    database = asyncio.run(databases.create(empty))
    try:
        plan = ("entresol.cli.main", "plan", "--write", "migrations/library")
        code, output = run(folder, *plan, ENTRESOL_DATABASE_WRITE=database.write_url)
        assert code == 0, output
    finally:
        asyncio.run(databases.drop(database))
    code, output = run(folder, "pytest", "tests/test_books.py")
    assert code == 0, output
