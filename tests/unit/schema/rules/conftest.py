"""Variants of one small proto, each broken in one place: all of a module's variants are compiled in one run.

A test says how its variant differs with `@pytest.mark.edits((old, new), ...)` and reads `mistakes`, or for rule 19
`changes` against the variant without edits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from entresol.codegen.protos import compile_protos
from entresol.errors import Mistake, SchemaError
from entresol.schema.breaking import compare
from entresol.schema.load import load

LIBRARY = (Path(__file__).parent / "library.proto").read_text(encoding="utf-8")
UNEDITED = "unedited"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "edits(*pairs): how the test's proto differs from library.proto")


def edited(text: str, edits: Iterable[tuple[str, str]]) -> str:
    for old, new in edits:
        assert old in text, f"library.proto has no {old!r}"
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def sets(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Return a descriptor set for each test of the module, and one without edits."""
    folder = tmp_path_factory.mktemp("variants")
    variants = {UNEDITED: (), **dict(_edits(request))}
    # Each variant is a package of its own, because protoc lets no symbol be declared twice.
    packages = {name: f"lib{index:04}" for index, name in enumerate(variants)}
    for name, edits in variants.items():
        text = edited(LIBRARY, edits).replace("package library.v1;", f"package {packages[name]}.v1;")
        (folder / f"{packages[name]}.proto").write_text(text, encoding="utf-8")
    files = {file.name: file for file in FileDescriptorSet.FromString(compile_protos(folder)).file}
    return {name: _alone(package, files) for name, package in packages.items()}


def _edits(request: pytest.FixtureRequest) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    for item in request.session.items:
        marker = item.get_closest_marker("edits")
        if marker is not None and item.path == request.path:
            yield item.name, marker.args


def _alone(package: str, files: Mapping[str, FileDescriptorProto]) -> bytes:
    """Return the set of this package and what it imports, as if its name were `library`."""
    needed: dict[str, None] = {}

    def visit(file: str) -> None:
        for dependency in files[file].dependency:
            visit(dependency)
        needed[file] = None

    visit(f"{package}.proto")
    variant = FileDescriptorSet(file=[files[file] for file in needed])
    # Both names have as many bytes, so that no length in the set changes.
    return variant.SerializeToString().replace(package.encode(), b"library")


@pytest.fixture
def library_set(request: pytest.FixtureRequest, sets: Mapping[str, bytes]) -> bytes:
    """Return the descriptor set of the test's variant."""
    return sets[request.node.name]


@pytest.fixture
def mistakes(library_set: bytes) -> list[str]:
    """Return the mistakes of the test's variant, as `rule element: problem`."""
    try:
        load(library_set)
    except SchemaError as error:
        return plain(error.mistakes)
    return []


@pytest.fixture
def changes(library_set: bytes, sets: Mapping[str, bytes]) -> list[str]:
    """Return what rule 19 says of the step from the proto without edits to the test's variant."""
    gone, changed = compare(load(sets[UNEDITED]), load(library_set))
    return plain(sorted({*gone, *changed}))


def plain(mistakes: Iterable[Mistake]) -> list[str]:
    return [f"{one.rule} {one.element.removeprefix('library.v1.')}: {one.problem}" for one in mistakes]
