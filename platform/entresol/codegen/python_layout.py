"""Where the Python modules of a set of protos live: each below one package that clashes with nobody's."""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

PREFIX = "entresol_"
# The platform's own API, which who imports it needs beside the own modules: options name types of it in text.
OPS = "entresol/ops/"
# Files whose modules users install from elsewhere (google), or whose only use is in options.
_FOREIGN = ("google/", "buf/", "entresol/options/", OPS)


@dataclass(frozen=True)
class Layout:
    """The protos that modules are generated for, and the names of these modules."""

    own: frozenset[str]  # stories/v1/story.proto

    @classmethod
    def of(cls, stripped: FileDescriptorSet) -> Layout:
        """Return the layout of descriptors without custom options: foreign files count where types need them."""
        homes = {name: file.name for file in stripped.file for name in declared(file)}
        by_name = {file.name: file for file in stripped.file}
        waiting = [file.name for file in stripped.file if not file.name.startswith(_FOREIGN)]
        own: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in own and not name.startswith(("google/", "buf/")):
                own.add(name)
                waiting.extend(homes[used] for used in used_types(by_name[name]))
                waiting.extend(file for file in by_name[name].dependency if file.startswith(OPS))
        return cls(frozenset(own))

    def file(self, proto: str) -> str:
        """Return the name under which protoc sees a file: `entresol_stories/v1/story.proto`."""
        if proto not in self.own:
            return proto
        return PREFIX + proto.removeprefix("entresol/")

    def module(self, proto: str) -> str:
        """Return the module of a file's messages: `entresol_stories.v1.story_pb2`."""
        return self.file(proto).removesuffix(".proto").replace("-", "_").replace("/", ".") + "_pb2"

    def package(self, proto: str) -> str:
        """Return the package that a file's modules are in: `entresol_stories.v1`."""
        return self.module(proto).rpartition(".")[0]


def identifier(name: str) -> str:
    """Return a proto name as a Python name: keywords get an underscore."""
    return f"{name}_" if keyword.iskeyword(name) else name


def declared(file: FileDescriptorProto) -> Iterator[str]:
    """Yield the full name of every message and enum of a file."""
    for enum in file.enum_type:
        yield _join(file.package, enum.name)
    for message in file.message_type:
        yield from _declared_in(message, file.package)


def used_types(file: FileDescriptorProto) -> Iterator[str]:
    """Yield the full name of every type that a file's fields, extensions and methods mention."""
    for service in file.service:
        for method in service.method:
            yield from (method.input_type[1:], method.output_type[1:])
    yield from _types_of(file.extension)
    for message in file.message_type:
        yield from _used_in(message)


def _declared_in(message: DescriptorProto, scope: str) -> Iterator[str]:
    name = _join(scope, message.name)
    yield name
    yield from (_join(name, enum.name) for enum in message.enum_type)
    for nested in message.nested_type:
        yield from _declared_in(nested, name)


def _used_in(message: DescriptorProto) -> Iterator[str]:
    yield from _types_of(message.field)
    yield from _types_of(message.extension)
    for nested in message.nested_type:
        yield from _used_in(nested)


def _types_of(fields: Iterable[FieldDescriptorProto]) -> Iterator[str]:
    for field in fields:
        yield from (name[1:] for name in (field.type_name, field.extendee) if name)


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name
