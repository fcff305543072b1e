"""The rules of the house that a tool can check. One that fails prints what the tool says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import entresol
from entresol.codegen.lint import lint

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "platform" / "entresol"
TOP_LEVEL = {"pyproject.toml", "README.md", "protos", "platform", "clients", "migrations", "tests", "helm"}
TOP_LEVEL_ALSO = {"Makefile", "LICENSE"}
# Files that a README tells the reader to make, or to make never.
OF_THE_READER = {
    "platform/__init__.py",
    "protos/functions.py",
    "protos/library/functions.py",
    "tests/test_conformance.py",
    "tests/test_books.py",
    "tests/test_counting.py",
}
LINES_MAX = 400
LINES_MEDIAN_MAX = 130


def run(*arguments: str) -> None:
    tool = Path(sys.executable).parent / arguments[0]
    done = subprocess.run(
        [str(tool), *arguments[1:]], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def tracked() -> list[str]:
    """Files of the repository; a copy without git has no ignored files to leave out."""
    if not (ROOT / ".git").exists():
        return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "platform", "tests", "clients", "protos")


def test_the_code_is_formatted() -> None:
    run("ruff", "format", "--check", "platform", "tests", "clients", "protos")


@pytest.mark.timeout(300)
def test_mypy_strict_finds_nothing() -> None:
    run("mypy", "--no-error-summary")


def test_the_import_contracts_hold() -> None:
    run("lint-imports", "--no-cache")


def test_buf_lint_finds_nothing() -> None:
    assert lint(ROOT / "protos") == ()


def test_the_protos_are_formatted() -> None:
    run("buf", "format", "--exit-code", "--diff", "protos")


def test_platform_is_not_a_package_so_that_the_standard_library_keeps_its_module() -> None:
    import platform

    assert not (ROOT / "platform" / "__init__.py").exists()
    assert platform.python_implementation()


def test_no_file_is_longer_than_one_concept() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    assert not {str(path): length for path, length in lengths.items() if length > LINES_MAX}
    assert sorted(lengths.values())[len(lengths) // 2] <= LINES_MEDIAN_MAX


def test_every_module_says_what_it_is_in_its_first_line() -> None:
    silent = [str(path) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_the_top_level_is_closed() -> None:
    names = {path.split("/")[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL | TOP_LEVEL_ALSO


def test_every_module_and_every_page_that_a_readme_names_is_there() -> None:
    files = [f"/{path}" for path in tracked()]
    for readme in [ROOT / path for path in tracked() if path.endswith("README.md")]:
        text = re.sub(r"```.*?```", "", readme.read_text(), flags=re.DOTALL)
        modules = set(re.findall(r"`([\w./]+\.py)`", text)) - OF_THE_READER
        assert not {name for name in modules if not any(path.endswith(f"/{name}") for path in files)}, readme
        pages = set(re.findall(r"\]\((?!http)([^)#]+)", text))
        assert not {page for page in pages if not (readme.parent / page).exists()}, readme


def test_modules_are_named_for_what_they_hold() -> None:
    vague = {"utils", "helpers", "common", "base", "manager", "core", "misc", "ports", "adapters"}
    parts = {part.removesuffix(".py") for path in sources() for part in path.relative_to(PACKAGE).parts}
    assert not parts & vague


def test_the_environment_is_read_only_in_config() -> None:
    readers = [
        path.relative_to(PACKAGE)
        for path in sources()
        if re.search(r"os\.(environ|getenv)", path.read_text())
    ]
    assert [str(path) for path in readers] == ["config.py"]


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_the_public_api_is_small_sorted_and_real() -> None:
    assert entresol.__all__ == sorted(entresol.__all__)
    assert len(entresol.__all__) <= 22
    assert all(getattr(entresol, name) for name in entresol.__all__)


def test_the_constraints_name_hashes_and_no_address() -> None:
    for name in ("constraints.txt", "constraints-batches.txt", "constraints-spark.txt"):
        text = (ROOT / "platform" / name).read_text()
        assert "--hash=sha256:" in text
        assert "http" not in text
