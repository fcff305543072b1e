"""Where the elements of a proto file stand: from `source_code_info` to lines counted from 1."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto

Path = tuple[int, ...]

# Field numbers of descriptor.proto, of which the paths of source_code_info are made.
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD, _NESTED, _NESTED_ENUM, _METHOD, _VALUE = 2, 3, 4, 2, 2
# The number of the `options` field, by the kind of options.
OPTIONS_FIELD = {
    "MessageOptions": 7,
    "FieldOptions": 8,
    "EnumOptions": 3,
    "EnumValueOptions": 3,
    "ServiceOptions": 3,
    "MethodOptions": 4,
}


class Places:
    """The lines of one file."""

    def __init__(self, proto: FileDescriptorProto) -> None:
        self._lines = {tuple(place.path): place.span[0] + 1 for place in proto.source_code_info.location}
        self._paths = dict(_file(proto))

    def line(self, full_name: str, option: Path = ()) -> int:
        """Return the line of the element, or of its option when that has one of its own; 1 when unknown."""
        path = self._paths.get(full_name, ())
        return self._option_line((*path, *option)) if option else self._lines.get(path, 1)

    def _option_line(self, option: Path) -> int:
        # An option set piece by piece (`(resource_reference).type = ...`) has places below its own path only.
        depth = len(option)
        found = [line for path, line in self._lines.items() if path[:depth] == option]
        return min(found) if found else self._lines.get(option[:-2], 1)


def _file(proto: FileDescriptorProto) -> Iterator[tuple[str, Path]]:
    prefix = f"{proto.package}." if proto.package else ""
    for index, message in enumerate(proto.message_type):
        yield from _message(prefix, message, (_MESSAGE, index))
    for index, enum in enumerate(proto.enum_type):
        yield from _enum(prefix, enum, (_ENUM, index))
    for index, service in enumerate(proto.service):
        yield f"{prefix}{service.name}", (_SERVICE, index)
        for number, method in enumerate(service.method):
            yield f"{prefix}{service.name}.{method.name}", (_SERVICE, index, _METHOD, number)


def _message(prefix: str, message: DescriptorProto, path: Path) -> Iterator[tuple[str, Path]]:
    name = f"{prefix}{message.name}"
    yield name, path
    for index, field in enumerate(message.field):
        yield f"{name}.{field.name}", (*path, _FIELD, index)
    for index, enum in enumerate(message.enum_type):
        yield from _enum(f"{name}.", enum, (*path, _NESTED_ENUM, index))
    for index, nested in enumerate(message.nested_type):
        yield from _message(f"{name}.", nested, (*path, _NESTED, index))


def _enum(prefix: str, enum: EnumDescriptorProto, path: Path) -> Iterator[tuple[str, Path]]:
    yield f"{prefix}{enum.name}", path
    # The full name of a value stands beside its enum, not below it.
    for index, value in enumerate(enum.value):
        yield f"{prefix}{value.name}", (*path, _VALUE, index)
