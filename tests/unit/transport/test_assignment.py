"""What a text should have been is told in words for people, whatever the field holds."""

from __future__ import annotations

import pytest
from google.protobuf.api_pb2 import Api
from google.protobuf.type_pb2 import Field
from google.rpc.context.attribute_context_pb2 import AttributeContext
from google.type.latlng_pb2 import LatLng

from entresol.errors import InvalidArgumentError
from entresol.transport.assignment import assign


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
