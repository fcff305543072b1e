"""What a text should have been is told in words for people, whatever the field holds."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.api_pb2 import Api
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.type_pb2 import Field
from google.rpc.context.attribute_context_pb2 import AttributeContext
from google.type.latlng_pb2 import LatLng

from entresol.errors import InvalidArgumentError
from entresol.transport.assignment import DEPTH_MAX, assign


@pytest.mark.parametrize(
    ("message", "path", "text", "description"),
    [
        (Field(), "number", "abc", "must be a whole number from -2147483648 to 2147483647"),
        (Field(), "number", "", "must be a whole number from -2147483648 to 2147483647"),
        (Field(), "packed", "yes", "must be true or false"),
        (LatLng(), "latitude", "x", 'must be a number up to 1.7e308, or "NaN", "Infinity" or "-Infinity"'),
        (Api(), "syntax", "SYNTAX_PROTO9", "did you mean SYNTAX_PROTO3?"),
        (AttributeContext.Request(), "time", "now", "must be a time as RFC 3339 has it"),
        (AttributeContext.Peer(), "port", "http", "must be a whole number from -9223372036854775808"),
        (Api(), "methods", "{", "Expecting property name"),
        (Api(), "nam", "x", "Api has no field 'nam'; did you mean name?"),
    ],
)
def test_what_a_text_should_have_been_is_told(
    message: object, path: str, text: str, description: str
) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        assign(message, path.split("."), text, path)
    (violation,) = refused.value.violations
    assert violation.field == path
    assert description in violation.description


@pytest.fixture(scope="module")
def box() -> Any:
    """Return the class of a message that may hold one of its own."""
    file = FileDescriptorProto(name="box.proto", package="shop.v1", syntax="proto3")
    message = file.message_type.add(name="Box")
    message.field.add(name="label", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
    inner = message.field.add(name="inner", number=2, type="TYPE_MESSAGE", label="LABEL_OPTIONAL")
    inner.type_name = ".shop.v1.Box"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("shop.v1.Box"))


def test_the_deepest_path_that_is_taken_can_be_sent(box: Any) -> None:
    names = [*["inner"] * (DEPTH_MAX - 1), "label"]
    message = box()
    assign(message, names, "x", ".".join(names))
    assert box.FromString(message.SerializeToString()) == message


@pytest.mark.parametrize("depth", [DEPTH_MAX, 3000])
def test_a_path_that_is_deeper_is_a_mistake_of_its_field(box: Any, depth: int) -> None:
    names = [*["inner"] * depth, "label"]
    message = box()
    with pytest.raises(InvalidArgumentError) as refused:
        assign(message, names, "x", ".".join(names))
    (violation,) = refused.value.violations
    assert (violation.field, violation.description) == ("inner", "is nested more than 100 deep")
    assert not message.HasField("inner")
