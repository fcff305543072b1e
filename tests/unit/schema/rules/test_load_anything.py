"""Whatever a descriptor set says, loading it gives a model or mistakes, and never another error."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from google.api.resource_pb2 import resource, resource_reference
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from entresol.errors import Mistake, SchemaError
from entresol.schema.breaking import compare
from entresol.schema.load import load
from entresol.schema.model import Model

ODD = (
    "",
    "*",
    "{",
    "{shelf}",
    "shelves/{shelf}/",
    "{a}/{b}",
    "/",
    "ß",
    " ",
    "x" * 70,
    "parent",
    "library.example.com/Book",
)
SCALARS = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_UINT64,
    FieldDescriptorProto.TYPE_BOOL,
)


def damaged_message(dice: random.Random, message: DescriptorProto) -> None:
    if not message.field:
        return
    field = dice.choice(message.field)
    match dice.randrange(5):
        case 0:
            message.field.remove(field)
        case 1:
            field.ClearField("options")
        case 2 if not field.type_name:
            field.type = dice.choice(SCALARS)
        case 3:
            field.label = FieldDescriptorProto.LABEL_REPEATED
        case _:
            field.options.Extensions[resource_reference].type = dice.choice(ODD)


def damaged_annotation(dice: random.Random, message: DescriptorProto) -> None:
    if not message.options.HasExtension(resource):
        return
    annotation = message.options.Extensions[resource]
    part = dice.choice(("type", "singular", "plural", "pattern"))
    if part == "pattern":
        annotation.pattern[:] = dice.choices(ODD, k=dice.randrange(3))
    else:
        setattr(annotation, part, dice.choice(ODD))


def damaged_service(dice: random.Random, file: FileDescriptorProto) -> None:
    method = dice.choice(file.service[0].method)
    match dice.randrange(4):
        case 0:
            file.service[0].method.remove(method)
        case 1:
            method.ClearField("options")
        case 2:
            method.input_type = f".library.v1.{dice.choice(file.message_type).name}"
        case _:
            method.output_type = f".library.v1.{dice.choice(file.message_type).name}"


def damaged(dice: random.Random, descriptor_set: bytes) -> bytes:
    found = FileDescriptorSet.FromString(descriptor_set)
    file = found.file[-1]
    for _ in range(dice.randrange(1, 6)):
        damaged_message(dice, dice.choice(file.message_type))
        damaged_annotation(dice, dice.choice(file.message_type))
        damaged_service(dice, file)
    return found.SerializeToString()


def outcome(descriptor_set: bytes) -> Model | tuple[Mistake, ...]:
    try:
        return load(descriptor_set)
    except SchemaError as error:
        return error.mistakes


@pytest.mark.parametrize("seed", range(60))
def test_loading_ends_with_a_model_or_with_mistakes(sets: Mapping[str, bytes], seed: int) -> None:
    whole = sets["unedited"]
    found = outcome(damaged(random.Random(seed), whole))
    assert found != ()
    if isinstance(found, Model):
        assert isinstance(compare(load(whole), found), tuple)
