"""Compile a folder of protos to one descriptor set with imports and lines; nothing is kept on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import google.api
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from entresol.codegen.compiler_errors import read_errors
from entresol.codegen.imports import imported_set
from entresol.errors import ConfigurationError, Mistake, SchemaError
from entresol.schema.source import Source

COMPILE_TIMEOUT_S = 60.0
_PACKAGE = Path(__file__).resolve().parents[1]
_OPTIONS = (
    "buf/validate/validate.proto",
    "entresol/options/v1/options.proto",
    "google/api/annotations.proto",
    "google/api/client.proto",
    "google/api/field_behavior.proto",
    "google/api/field_info.proto",
    "google/api/resource.proto",
    "google/longrunning/operations.proto",
)


def compile_protos(folder: Path, *, includes: Sequence[Path] = ()) -> bytes:
    """Return the serialized `FileDescriptorSet` of every `.proto` below `folder`.

    `folder` may also be a file that already holds such a set. The platform's own options, `google.api`,
    `google.rpc`, `google.longrunning`, `google.protobuf` and `buf.validate` can be imported without being in
    `includes`. Takes about 100 ms.

    Raises:
        SchemaError: the compiler's errors, each with its file and line.
        ConfigurationError: there is no such folder, or nothing to compile in it.
    """
    if folder.is_file():
        return _ready_set(folder)
    files = proto_files(folder)
    with tempfile.TemporaryDirectory(prefix="entresol-protos-") as scratch:
        return _run_protoc(folder, files, includes, Path(scratch))


def proto_files(folder: Path) -> list[Path]:
    """Return the protos below `folder`, relative to it and sorted; ConfigurationError when there is none."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is neither a folder of .proto files nor a descriptor set")
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.proto") if path.is_file())
    if not files:
        raise ConfigurationError(f"{folder} holds no .proto file")
    return files


def located(mistakes: Iterable[Mistake], folder: Path) -> list[Mistake]:
    """Name the protos of `folder` from the working folder, as functions are named, so that an editor finds them."""
    return [
        replace(mistake, file=os.path.relpath(folder / mistake.file))
        if mistake.file.endswith(".proto") and (folder / mistake.file).is_file()
        else mistake
        for mistake in mistakes
    ]


def own_protos() -> Path:
    """Return the folder of the platform's own protos: `protos/` of a checkout, or the wheel's."""
    candidates = (_PACKAGE / "protos", _PACKAGE.parents[1] / "protos")
    for folder in candidates:
        if (folder / "entresol/options/v1/options.proto").is_file():
            return folder
    raise ConfigurationError("entresol/options/v1/options.proto is missing from the installation of entresol")


def _ready_set(file: Path) -> bytes:
    content = file.read_bytes()
    try:
        files = FileDescriptorSet.FromString(content).file
    except DecodeError as error:
        raise ConfigurationError(f"{file} is not a serialized FileDescriptorSet: {error}") from error
    if not files:
        raise ConfigurationError(f"{file} is a FileDescriptorSet without files")
    return content


def _run_protoc(folder: Path, files: Sequence[Path], includes: Sequence[Path], scratch: Path) -> bytes:
    image, imports, arguments = scratch / "image.binpb", scratch / "imports.binpb", scratch / "arguments"
    imports.write_bytes(imported_set())
    root = folder.resolve()
    folders = [root, *(path.resolve() for path in includes), own_protos(), *_site_packages()]
    options = [f"--proto_path={path}" for path in dict.fromkeys(folders)]
    options += [f"--descriptor_set_in={imports}", f"--descriptor_set_out={image}"]
    options += ["--include_imports", "--include_source_info"]
    # A file of arguments, because the list of protos has no bound and a command line does.
    # Whole paths: a relative one would be looked for in the current folder first.
    arguments.write_text("\n".join([*options, *(str(root / file) for file in files)]), encoding="utf-8")
    done = _protoc(f"@{arguments}")
    if done.returncode:
        raise SchemaError(list(read_errors(done.stderr, root, _known)), complete=False)
    return image.read_bytes()


def _site_packages() -> list[Path]:
    """Return the folder that holds `google/api/*.proto`; protoc itself adds `google/protobuf`."""
    return [Path(google.api.__path__[0]).resolve().parents[1]]


def _protoc(argument: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grpc_tools.protoc", argument]
    try:
        return subprocess.run(  # noqa: S603 - our own interpreter and our own file
            command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"protoc did not end within {COMPILE_TIMEOUT_S:g} seconds") from error


def _known() -> Source:
    """Return the options of ours and of the industry that protos may use, to tell what was meant by another."""
    with tempfile.TemporaryDirectory(prefix="entresol-options-") as folder:
        lines = ['syntax = "proto3";', *(f'import "{file}";' for file in _OPTIONS)]
        (Path(folder) / "known.proto").write_text("\n".join(lines), encoding="utf-8")
        return Source(compile_protos(Path(folder)))
