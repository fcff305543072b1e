"""A descriptor set as the loader reads it: a private pool, its options, and the line of every element."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias

from google.protobuf import message_factory
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from entresol.errors import Mistake, SchemaError
from entresol.schema.places import OPTIONS_FIELD, Places

Element: TypeAlias = Descriptor | FieldDescriptor | EnumDescriptor | ServiceDescriptor | MethodDescriptor
# Protos of others: used, never judged.
_FOREIGN = ("google/", "buf/")


class Source:
    """The files of one descriptor set.

    Classes, options and extensions all come from the set itself, so nothing depends on what generated modules
    the process has imported, and two sets with different versions of a file can be loaded side by side.

    Raises:
        SchemaError: the bytes are not a descriptor set, or a file of it cannot be used.
    """

    def __init__(self, descriptor_set: bytes) -> None:
        self.descriptor_set = descriptor_set
        self.protos = _parse(descriptor_set)
        self.pool = DescriptorPool()
        self._placed: dict[str, Places] = {}
        self._parsed: dict[tuple[str, str], Any] = {}
        for proto in self.protos:
            _add(self.pool, proto)

    @cached_property
    def files(self) -> tuple[FileDescriptor, ...]:
        """Return every file, in the order of the set."""
        return tuple(self.pool.FindFileByName(proto.name) for proto in self.protos)

    @cached_property
    def own_files(self) -> tuple[FileDescriptor, ...]:
        """Return the files that the rules apply to."""
        return tuple(file for file in self.files if is_own(file.name))

    def messages(self) -> Iterator[Descriptor]:
        """Yield every message of the own files, nested ones after their parents, map entries left out."""
        for file in self.own_files:
            for message in file.message_types_by_name.values():
                yield from _with_nested(message)

    def enums(self) -> Iterator[EnumDescriptor]:
        """Yield every enum of the own files, those of messages too."""
        for file in self.own_files:
            yield from file.enum_types_by_name.values()
        for message in self.messages():
            yield from message.enum_types

    def services(self) -> Iterator[ServiceDescriptor]:
        """Yield every service of every file."""
        for file in self.files:
            yield from file.services_by_name.values()

    def message_class(self, descriptor: Descriptor) -> type[Message]:
        """Return the class of a message of this pool."""
        found: type[Message] = message_factory.GetMessageClass(descriptor)
        return found

    def option(self, element: Element | FileDescriptor, extension: str) -> Any:
        """Return the value of the option with this full name, or None when the element does not set it.

        The options are parsed again with this pool's own classes, which know every extension of the set.
        """
        number = self._extension_numbers.get(extension)
        if number is None or not element.has_options:
            return None
        options = self._own_options(element)
        handle = self.pool.FindExtensionByName(extension)
        if handle.is_repeated:
            return tuple(options.Extensions[handle]) or None
        return options.Extensions[handle] if options.HasExtension(handle) else None

    def _own_options(self, element: Element | FileDescriptor) -> Any:
        given = element.GetOptions()
        key = (
            given.DESCRIPTOR.name,
            element.name if isinstance(element, FileDescriptor) else element.full_name,
        )
        if key not in self._parsed:
            own = self.message_class(self.pool.FindMessageTypeByName(given.DESCRIPTOR.full_name))
            self._parsed[key] = own.FromString(given.SerializeToString())
        return self._parsed[key]

    @cached_property
    def _extension_numbers(self) -> dict[str, int]:
        return {
            extension.full_name: extension.number
            for file in self.files
            for extension in file.extensions_by_name.values()
        }

    def line(self, element: Element | FileDescriptor, extension: str = "") -> int:
        """Return the line, from 1, where the element or this option of it begins; 1 when unknown."""
        if isinstance(element, FileDescriptor):
            return 1
        number = self._extension_numbers.get(extension)
        option = (OPTIONS_FIELD[element.GetOptions().DESCRIPTOR.name], number) if number else ()
        return self._places(file_of(element).name).line(element.full_name, option)

    def _places(self, file: str) -> Places:
        if file not in self._placed:
            self._placed[file] = Places(next(proto for proto in self.protos if proto.name == file))
        return self._placed[file]


def file_of(element: Element) -> FileDescriptor:
    """Return the file that declares the element."""
    if isinstance(element, MethodDescriptor):
        element = element.containing_service
    file: FileDescriptor = element.file  # type: ignore[union-attr]  # the stubs forget FieldDescriptor.file
    return file


def is_own(file: str) -> bool:
    """Tell whether the rules apply to the file of this name."""
    return not file.startswith(_FOREIGN)


def _parse(descriptor_set: bytes) -> list[FileDescriptorProto]:
    try:
        return list(FileDescriptorSet.FromString(descriptor_set).file)
    except DecodeError as error:
        problem = f"cannot be read: {error}"
        raise SchemaError([Mistake("descriptor set", 1, "protobuf", "", problem)]) from error


def _add(pool: DescriptorPool, proto: FileDescriptorProto) -> None:
    # The pool has no use for source info, and it is most of the bytes.
    bare = FileDescriptorProto()
    bare.CopyFrom(proto)
    bare.ClearField("source_code_info")
    try:
        pool.AddSerializedFile(bare.SerializeToString())
    except (TypeError, ValueError) as error:
        remedy = "compile with the imports included, each file after those it imports"
        raise SchemaError([Mistake(proto.name, 1, "protobuf", "", str(error), remedy)]) from error


def _with_nested(message: Descriptor) -> Iterator[Descriptor]:
    if message.GetOptions().map_entry:
        return
    yield message
    for nested in message.nested_types:
        yield from _with_nested(nested)
