"""A resource with a field of every kind, to be imported, and files to import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from entresol.cli.imports.source import Source
from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import Model, Resource

PROTOS = Path(__file__).resolve().parents[1] / "schema" / "protos"


@pytest.fixture(scope="session")
def model() -> Model:
    return load(compile_protos(PROTOS))


@pytest.fixture(scope="session")
def book(model: Model) -> Resource:
    return model.by_message["library.v1.Book"]


@pytest.fixture
def source(tmp_path: Path) -> Callable[..., Source]:
    """Give what makes a file of this content."""

    def make(content: str | bytes, name: str = "rows.csv") -> Source:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Source(path)

    return make
