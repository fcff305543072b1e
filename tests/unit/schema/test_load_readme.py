"""The files that protos/README.md and protos/jobs.md show are whole ones: they load, and buf finds nothing in them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from entresol.codegen.lint import lint
from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import MethodKind
from entresol.storage.plan import command

README = Path(__file__).parents[3] / "protos" / "README.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = re.search(r"```proto\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    folder: Path = tmp_path_factory.mktemp("library")
    (folder / "library/v1").mkdir(parents=True)
    (folder / "library/v1/library.proto").write_text(found[1], encoding="utf-8")
    return folder


def test_the_example_loads(folder: Path) -> None:
    model = load(compile_protos(folder))
    custom = [method.full_name for method in model.methods.values() if method.kind is MethodKind.CUSTOM]
    assert custom == ["library.v1.BookService.LendBook"]


def test_the_example_of_jobs_and_batches_loads_beside_it_and_is_clean(folder: Path, tmp_path: Path) -> None:
    whole = shutil.copytree(folder, tmp_path / "protos")
    jobs = README.with_name("jobs.md").read_text(encoding="utf-8")
    found = re.findall(r"```proto\n(.*?)```", jobs, re.DOTALL)
    counting = next(text for text in found if "service CountingService" in text)
    (whole / "library/v1/counting.proto").write_text(counting, encoding="utf-8")
    model = load(compile_protos(whole))
    assert [name.rpartition("/")[2] for name, method in model.methods.items() if method.job] == [
        "CountBooks", "CountLoans",
    ]  # fmt: skip
    assert lint(whole) == ()


def test_both_readmes_have_the_command_that_is_printed_for_it(folder: Path) -> None:
    printed = command(load(compile_protos(folder)), "migrations")
    assert all(printed in readme.read_text() for readme in (README, README.parents[1] / "README.md"))


def test_the_example_is_clean(folder: Path) -> None:
    assert lint(folder) == ()
