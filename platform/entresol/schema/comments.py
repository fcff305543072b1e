"""Comments of protos by the full names of what they describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

Path = tuple[int, ...]

# Field numbers in google/protobuf/descriptor.proto: of what a file, a message, an enum and a service hold.
_FILE = {"message_type": 4, "enum_type": 5, "service": 6}
_WITHIN = {
    "DescriptorProto": {"field": 2, "nested_type": 3, "enum_type": 4},
    "EnumDescriptorProto": {"value": 2},
    "ServiceDescriptorProto": {"method": 2},
}


def comments_of(descriptor_set: bytes) -> Mapping[str, str]:
    """Return the comment before each element, its lines joined; elements without one are left out."""
    comments: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(descriptor_set).file:
        names = dict(_children(file, _FILE, (), file.package))
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path))
            text = " ".join(location.leading_comments.split())
            if name and text:
                comments[name] = text
    return comments


def _children(element: Any, fields: Mapping[str, int], path: Path, scope: str) -> Iterator[tuple[Path, str]]:
    """Yield where in its file each element below `element` is, and its full name."""
    for field, number in fields.items():
        for index, child in enumerate(getattr(element, field)):
            here, name = (*path, number, index), f"{scope}.{child.name}"
            yield here, name
            yield from _children(child, _WITHIN.get(child.DESCRIPTOR.name, {}), here, name)
