"""Messages as Python modules: protoc's own generators, over descriptors without custom options.

Custom options are for the server. Without them the modules import nothing but protobuf, and two programs that were
generated at different times do not disagree about somebody else's annotations.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

from entresol.codegen.python_layout import OPS, Layout, declared, used_types
from entresol.errors import ConfigurationError

_PROTOC_TIMEOUT_S = 120.0


def strip(descriptor_set: bytes) -> FileDescriptorSet:
    """Return the descriptors without custom options, and without the imports that only these needed."""
    files = FileDescriptorSet.FromString(descriptor_set)
    for file in files.file:
        file.ClearField("source_code_info")
        _strip_options(file)
    homes = {name: file.name for file in files.file for name in declared(file)}
    for file in files.file:
        _strip_imports(file, {homes[name] for name in used_types(file)})
    return files


def write_messages(stripped: FileDescriptorSet, layout: Layout, folder: Path) -> None:
    """Write the modules and their type stubs below `folder`.

    Raises:
        ConfigurationError: protoc refused the descriptors; the text is protoc's.
    """
    renamed = FileDescriptorSet.FromString(stripped.SerializeToString())
    for file in renamed.file:
        file.name = layout.file(file.name)
        file.dependency[:] = [layout.file(name) for name in file.dependency]
    with TemporaryDirectory() as scratch:
        descriptors = Path(scratch) / "descriptors.binpb"
        descriptors.write_bytes(renamed.SerializeToString())
        names = sorted(layout.file(name) for name in layout.own)
        _protoc(f"--descriptor_set_in={descriptors}", f"--python_out={folder}", f"--pyi_out={folder}", *names)


def _protoc(*arguments: str) -> None:
    """Run protoc in a process of its own: what it refuses, it may refuse by ending the process."""
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PROTOC_TIMEOUT_S, check=False)  # noqa: S603 - our own interpreter
    if done.returncode != 0:
        raise ConfigurationError(f"protoc refused the protos: {done.stderr.strip()}")


def _strip_options(message: Message) -> None:
    """Remove custom options from every option message below `message`, and option messages left empty."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if not field.message_type.name.endswith("Options"):
            for child in value if field.is_repeated else (value,):
                _strip_options(child)
            continue
        for option, _ in value.ListFields():
            if option.is_extension:
                value.ClearExtension(option)
        value.DiscardUnknownFields()
        if not value.ListFields():
            message.ClearField(field.name)


def _strip_imports(file: FileDescriptorProto, used: set[str]) -> None:
    public = {file.dependency[index] for index in file.public_dependency}
    kept = [name for name in file.dependency if name in used or name in public or name.startswith(OPS)]
    file.ClearField("weak_dependency")
    file.dependency[:] = kept
    file.public_dependency[:] = [index for index, name in enumerate(kept) if name in public]
