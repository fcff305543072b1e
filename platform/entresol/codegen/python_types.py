"""How proto types are written in Python annotations, and the imports that these need."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from entresol.codegen.python_layout import Layout
from entresol.schema import options
from entresol.schema.model import Model
from entresol.schema.source import Source

_SCALARS = {
    FieldDescriptor.CPPTYPE_STRING: "str",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
}
# What else a message's constructor takes beside the message itself.
_ALSO = {"google.protobuf.Timestamp": "datetime.datetime", "google.protobuf.Duration": "datetime.timedelta"}
_MASK = "google.protobuf.FieldMask"


@dataclass
class Types:
    """The annotations of one module of `package`. `imports` grows with every type that is asked for."""

    source: Source
    model: Model
    layout: Layout
    package: str
    imports: set[str] = field(default_factory=set)

    def message(self, descriptor: Descriptor | EnumDescriptor) -> str:
        """Return how this module writes the class of a message or enum."""
        file = descriptor.file
        module, package = self.layout.module(file.name), self.layout.package(file.name)
        name = descriptor.full_name.removeprefix(f"{file.package}.")
        if package == self.package:
            self.imports.add(f"from {package} import {module.rpartition('.')[2]}")
            return f"{module.rpartition('.')[2]}.{name}"
        self.imports.add(f"import {module}")
        return f"{module}.{name}"

    def argument(self, given: FieldDescriptor) -> str:
        """Return what may be passed for a field of a request."""
        if given.message_type is not None and given.message_type.GetOptions().map_entry:
            key, value = (given.message_type.fields_by_name[name] for name in ("key", "value"))
            return f"{self._abstract('Mapping')}[{self._single(key)}, {self._single(value)}]"
        single = self._single(given)
        return f"{self._abstract('Sequence')}[{single}]" if given.is_repeated else single

    def _single(self, given: FieldDescriptor) -> str:
        if given.enum_type is not None:
            return f"{self.message(given.enum_type)} | str"
        if given.message_type is not None:
            return self._message_argument(given.message_type)
        if given.type == FieldDescriptor.TYPE_BYTES:
            return "bytes"
        kind = _SCALARS.get(given.cpp_type, "int")
        return " | ".join([kind, *self._names(given)]) if kind == "str" else kind

    def _message_argument(self, descriptor: Descriptor) -> str:
        if descriptor.full_name == _MASK:
            return "runtime.Mask"
        also = _ALSO.get(descriptor.full_name)
        if also is None:
            return self.message(descriptor)
        self.imports.add("import datetime")
        return f"{self.message(descriptor)} | {also}"

    def _names(self, given: FieldDescriptor) -> list[str]:
        """Return the name classes of the resources that a field may refer to."""
        reference = self.source.option(given, options.REFERENCE)
        if reference is None:
            return []
        if reference.type:
            return [name for type_ in [reference.type] for name in self._classes(type_)]
        child = self.model.resources.get(reference.child_type)
        return [name for type_ in (child.parents if child else ()) for name in self._classes(type_)]

    def _classes(self, type_: str) -> list[str]:
        resource = self.model.resources.get(type_)
        if resource is None or resource.descriptor is None:
            return []
        package = self.layout.package(resource.descriptor.file.name)
        self.imports.add(
            f"from {package} import names" if package == self.package else f"import {package}.names"
        )
        prefix = "names" if package == self.package else f"{package}.names"
        return [f"{prefix}.{name}" for name in name_classes(type_, len(resource.patterns))]

    def _abstract(self, name: str) -> str:
        self.imports.add(f"from collections.abc import {name}")
        return name


def name_classes(type_: str, patterns: int) -> list[str]:
    """Return the class names for a resource's patterns, in their order, which never changes (AIP-123)."""
    noun = type_.rpartition("/")[2]
    return [f"{noun}Name{index or ''}" for index in (0, *range(2, patterns + 1))]
