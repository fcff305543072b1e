"""The library: a small model with fields of every kind, compiled once for all tests of `schema`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.schema.model import Model, Resource

# Slow machines are no fault of the code: what takes long shows in the durations, not as a failure.
settings.register_profile("entresol", deadline=None, print_blob=True)
settings.load_profile("entresol")


@pytest.fixture(scope="session")
def library() -> Model:
    return load(compile_protos(Path(__file__).parent / "protos"))


@pytest.fixture(scope="session")
def book(library: Model) -> Resource:
    return library.resources["library.example.com/Book"]
