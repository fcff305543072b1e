"""The library: a small model with fields of every kind, compiled once for all tests of `schema`."""

from __future__ import annotations

from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import Model, Resource


@pytest.fixture(scope="session")
def library() -> Model:
    return load(compile_protos(Path(__file__).parent / "protos"))


@pytest.fixture(scope="session")
def book(library: Model) -> Resource:
    return library.resources["library.example.com/Book"]
