"""Protobuf's JSON, both ways, from serialized bytes: https://protobuf.dev/programming-guides/json/.

protobuf-py is native code of the makers of Connect, and ten times as quick as `google.protobuf.json_format` here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from google.protobuf import descriptor_pb2, duration_pb2
from google.protobuf.descriptor import Descriptor
from google.rpc import error_details_pb2
from protobuf import Message
from protobuf.wkt import FileDescriptorSet

from entresol.errors import InvalidArgumentError
from entresol.transport.web.json_mistakes import BODY, mistakes

_REFUSED = (ValueError, TypeError, OverflowError)
# What is asked for again and again is written once: of so many messages the text is kept, if they are small.
_KNOWN_MAX, _KNOWN_BYTES_MAX = 2048, 4096
# As protobuf's own parsers have it; the native JSON parser has no bound, and would end the process.
_DEPTH_MAX = 100
_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def _with_details(descriptor_set: bytes) -> bytes:
    """Return the set with the messages that tell of errors, which the status of an operation may hold."""
    found = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set)
    known = {file.name for file in found.file}
    for file in (duration_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR):
        if file.name not in known:
            added = found.file.add()
            file.CopyToProto(added)
            _name_fields(added.message_type)
    return found.SerializeToString()


def _name_fields(messages: Iterable[Any]) -> None:
    """Say what fields are called in JSON, as protoc does in its sets, and a copied descriptor does not."""
    for message in messages:
        for field in message.field:
            field.json_name = re.sub(r"_(.)", lambda found: found[1].upper(), field.name)
        _name_fields(message.nested_type)


class JsonCodec:
    """The JSON of every message of one descriptor set."""

    def __init__(self, descriptor_set: bytes) -> None:
        self._registry = FileDescriptorSet.from_binary(_with_details(descriptor_set)).to_registry()
        self._classes: dict[str, type[Message]] = {}
        self._known = lru_cache(maxsize=_KNOWN_MAX)(self._text)

    def text(self, descriptor: Descriptor, data: bytes) -> bytes:
        """Return the JSON of a serialized message; fields of their default value are left out."""
        text = self._known if len(data) <= _KNOWN_BYTES_MAX else self._text
        return text(descriptor.full_name, data)

    def _text(self, full_name: str, data: bytes) -> bytes:
        message = self._class(full_name).from_binary(data)
        return message.to_json(registry=self._registry).encode()

    def binary(self, descriptor: Descriptor, text: bytes, at: str = "") -> bytes:
        """Return the serialized message of a JSON text; none is an empty message.

        `at` is the field of the request that the text is; "" when it is the whole request.

        Raises:
            InvalidArgumentError: it is not JSON, or not of this message; with every mistake.
        """
        if not text:
            return b""
        if is_deep(text):
            raise InvalidArgumentError.of(BODY, f"is nested deeper than {_DEPTH_MAX} levels")
        try:
            return self._binary(descriptor, text)
        except _REFUSED as error:
            raise InvalidArgumentError(mistakes(self._accepts, descriptor, text, at, error)) from error

    def _binary(self, descriptor: Descriptor, text: bytes) -> bytes:
        message = self._class(descriptor.full_name).from_json(text, registry=self._registry)
        return bytes(message.to_binary())

    def _accepts(self, descriptor: Descriptor, text: bytes) -> bool:
        try:
            self._binary(descriptor, text)
        except _REFUSED:
            return False
        return True

    def _class(self, full_name: str) -> type[Message]:
        found = self._classes.get(full_name)
        if found is None:
            descriptor = self._registry.message(full_name)
            assert descriptor is not None, f"{full_name} is not in the descriptor set"
            found = self._classes[full_name] = descriptor.type
        return found


def is_deep(text: bytes) -> bool:
    """Tell whether arrays and objects are nested deeper than is read."""
    if text.count(b"[") + text.count(b"{") <= _DEPTH_MAX:
        return False
    depth = 0
    for found in _BRACKET.finditer(text):
        if found[0] in b"[{":
            depth += 1
            if depth > _DEPTH_MAX:
                return True
        elif found[0] in b"]}":
            depth -= 1
    return False
