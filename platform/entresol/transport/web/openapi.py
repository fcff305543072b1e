"""OpenAPI 3.1 of the REST API: paths from `google.api.http`, schemas from messages, words from the protos' comments."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from entresol.schema.comments import comments_of
from entresol.schema.model import Behavior, Method, MethodKind, Model
from entresol.schema.paths import Binding, variables
from entresol.schema.resources import blank
from entresol.transport.web.conditions import checks_etag
from entresol.transport.web.examples import example

_TEXT = {"type": "string"}
_LONG = {"type": "string", "format": "int64"}
_INT = {"type": "integer", "format": "int32"}
_NUMBER = {"type": "number"}
_SCALARS: Mapping[int, Mapping[str, Any]] = {
    FieldDescriptor.TYPE_DOUBLE: _NUMBER,
    FieldDescriptor.TYPE_FLOAT: _NUMBER,
    FieldDescriptor.TYPE_INT64: _LONG,
    FieldDescriptor.TYPE_UINT64: _LONG,
    FieldDescriptor.TYPE_SINT64: _LONG,
    FieldDescriptor.TYPE_FIXED64: _LONG,
    FieldDescriptor.TYPE_SFIXED64: _LONG,
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_STRING: _TEXT,
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
# What protobuf's JSON writes otherwise than as an object with the message's fields.
_WELL_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string", "description": "Field names with commas between."},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Any": {"type": "object", "properties": {"@type": _TEXT}},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.StringValue": _TEXT,
    "google.protobuf.BytesValue": {"type": "string", "contentEncoding": "base64"},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.Int32Value": _INT,
    "google.protobuf.UInt32Value": _INT,
    "google.protobuf.Int64Value": _LONG,
    "google.protobuf.UInt64Value": _LONG,
    "google.protobuf.FloatValue": _NUMBER,
    "google.protobuf.DoubleValue": _NUMBER,
}
_VARIABLE = re.compile(r"\{([^}]*)\}")
_PATCH = "Without a mask, the fields that are there change; null, 0 and what is empty clear them."
_ERROR = "Error"
_ERROR_SCHEMA = {
    "type": "object",
    "description": "What went wrong, as AIP-193 has it.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": _INT,
                "message": _TEXT,
                "status": _TEXT,
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}


def document(
    model: Model, title: str = "Entresol", *, custom: Container[str] = frozenset()
) -> dict[str, Any]:
    """Return the document, ready for JSON. `custom` are the paths of methods that functions answer."""
    return _Document(model, custom).whole(title)


class _Document:
    def __init__(self, model: Model, custom: Container[str]) -> None:
        self._model = model
        self._custom = custom
        self._comments = comments_of(model.descriptor_set)
        self._schemas: dict[str, Any] = {_ERROR: _ERROR_SCHEMA}
        patterns = [pattern.text for one in model.resources.values() for pattern in one.patterns]
        parents = [text.rpartition("/")[0].rpartition("/")[0] for text in patterns]
        self._ids = {blank(text): _VARIABLE.findall(text) for text in (*parents, *patterns) if text}

    def whole(self, title: str) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for method in self._model.methods.values():
            for index, binding in enumerate(method.bindings):
                path, names = self._path(binding.path)
                operation = self._operation(method, binding, index, names)
                paths.setdefault(path, {})[binding.verb.lower()] = operation
        return {
            "openapi": "3.1.0",
            "info": {"title": title, "version": "1"},
            "tags": [{"name": name, **self._described(name)} for name in self._model.services],
            "paths": paths,
            "components": {"schemas": dict(sorted(self._schemas.items()))},
        }

    def _operation(
        self, method: Method, binding: Binding, index: int, names: Iterable[str]
    ) -> dict[str, Any]:
        service, _, name = method.full_name.rpartition(".")
        operation: dict[str, Any] = {
            "operationId": f"{service.rpartition('.')[2]}_{name}" + (f"_{index}" if index else ""),
            "tags": [service],
            **_summary(name, self._comments.get(method.full_name, "")),
            "parameters": [*self._parameters(method, binding, names), *self._conditions(method, binding)],
            "responses": {
                "200": _content(self._reference(method.output), "The reply."),
                "default": _content({"$ref": f"#/components/schemas/{_ERROR}"}, "What went wrong."),
            },
        }
        if binding.body:
            whole = binding.body == "*"
            body = None if whole else method.input.fields_by_name[binding.body].message_type
            content = {
                "schema": self._reference(body or method.input),
                "example": example(self._model, method, binding),
            }
            is_patch = method.kind is MethodKind.UPDATE and method.path not in self._custom
            told = {"description": _PATCH} if is_patch else {}
            operation["requestBody"] = {**told, "content": {"application/json": content}, "required": True}
        return operation

    def _parameters(self, method: Method, binding: Binding, names: Iterable[str]) -> Iterable[dict[str, Any]]:
        in_path = {variable.field for variable in variables(binding.path)}
        for name in names:
            yield {"name": name, "in": "path", "required": True, "schema": _TEXT}
        if binding.body == "*":
            return
        taken = {path.partition(".")[0] for path in in_path} | {binding.body}
        for field in method.input.fields:
            if field.name not in taken:
                told = self._described(field.full_name)
                yield {"name": field.json_name, "in": "query", **told, "schema": self._field(field)}

    def _conditions(self, method: Method, binding: Binding) -> Iterable[dict[str, Any]]:
        """Yield the headers that ask for something of the record, or of a reply that the client has."""
        if binding.verb == "GET" and method.safe and not method.server_streaming:
            yield _header(
                "If-None-Match", "The `etag` header of a reply that is at hand; 304 while it is the same."
            )
        elif checks_etag(method) and method.path not in self._custom:
            told = "The record's `etag`, or that header of its GET; 412 when it has another. `*`: any."
            yield _header("If-Match", told)

    def _path(self, path: str) -> tuple[str, list[str]]:
        """Return a path as OpenAPI writes it, and its parameters: one for each `*`, named as the resource names it."""
        names: list[str] = []
        for variable in variables(path):
            given = self._ids.get(variable.template, ())
            pieces = []
            for index, piece in enumerate(variable.template.split("/")):
                if piece in ("*", "**"):
                    known = given[index // 2] if index // 2 < len(given) else variable.field
                    names.append(known if known not in names else f"{known}_{len(names)}")
                    piece = f"{{{names[-1]}}}"
                pieces.append(piece)
            for text in (f"{{{variable.field}={variable.template}}}", f"{{{variable.field}}}"):
                path = path.replace(text, "/".join(pieces), 1)
        return path, names

    def _reference(self, descriptor: Descriptor) -> dict[str, Any]:
        known = _WELL_KNOWN.get(descriptor.full_name)
        if known is not None:
            return dict(known)
        if descriptor.full_name not in self._schemas:
            self._schemas[descriptor.full_name] = {}  # so that a message that holds itself comes to an end
            self._schemas[descriptor.full_name] = self._message(descriptor)
        return {"$ref": f"#/components/schemas/{descriptor.full_name}"}

    def _message(self, descriptor: Descriptor) -> dict[str, Any]:
        resource = self._model.by_message.get(descriptor.full_name)
        properties: dict[str, Any] = {}
        required = []
        for field in descriptor.fields:
            schema = {**self._field(field), **self._described(field.full_name)}
            known = resource.by_name.get(field.name) if resource is not None else None
            if known is not None and known.output_only:
                schema = {**schema, "readOnly": True}
            if known is not None and Behavior.INPUT_ONLY in known.behaviors:
                schema = {**schema, "writeOnly": True}
            if known is not None and known.required:
                required.append(field.json_name)
            properties[field.json_name] = schema
        found = {"type": "object", **self._described(descriptor.full_name), "properties": properties}
        return {**found, "required": required} if required else found

    def _described(self, full_name: str) -> dict[str, Any]:
        comment = self._comments.get(full_name)
        return {"description": comment} if comment else {}

    def _field(self, field: FieldDescriptor) -> dict[str, Any]:
        message = field.message_type
        if message is not None and message.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._one(message.fields_by_name["value"])}
        one = self._one(field)
        return {"type": "array", "items": one} if field.is_repeated else one

    def _one(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type is not None:
            return self._reference(field.message_type)
        if field.enum_type is not None:
            return _enum(field.enum_type)
        return dict(_SCALARS.get(field.type, _INT))


def _summary(name: str, comment: str) -> dict[str, Any]:
    """Return the first sentence of a method's comment as its summary, and all of it where there is more.

    Files that come compiled have no comments: then it is the words of the method's name.
    """
    first, point, more = comment.partition(". ")
    if not comment:
        return {"summary": re.sub(r"(?<!^)(?=[A-Z])", " ", name).capitalize()}
    return {"summary": first + point.rstrip(), **({"description": comment} if more else {})}


def _enum(descriptor: EnumDescriptor) -> dict[str, Any]:
    return {"type": "string", "enum": [value.name for value in descriptor.values]}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": _TEXT}


def _content(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}
