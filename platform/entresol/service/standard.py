"""What every standard method's handler needs to know of its method."""

from __future__ import annotations

from entresol.schema.model import Method, Resource


def resource_of(method: Method) -> Resource:
    """Return the resource of a standard method."""
    assert method.resource is not None, "the loader sets it on every standard method"
    return method.resource


def request_field(method: Method) -> str:
    """Return the request field that carries the resource: `story` of CreateStory and UpdateStory."""
    assert method.resource_field is not None, "the loader sets it where there is one"
    return method.resource_field


def reply_field_number(method: Method) -> int:
    """Return the number of the reply's repeated field of records: that of `stories` of ListStories."""
    number: int = method.output.fields_by_name[request_field(method)].number
    return number
