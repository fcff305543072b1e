"""What may be sent again to another server, by the protos: reads, and writes whose request says who they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import FieldDescriptor

from entresol.schema.model import Method, Model

REQUEST_ID = "request_id"  # AIP-155: with it the same request, sent again, does not act again
# What every gRPC server answers beside the methods of the model (`transport/standard.py`).
_CHECK = "/grpc.health.v1.Health/Check"
_STREAMS = ("/grpc.health.v1.Health/Watch", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of a model's methods. Those in none of these are writes that are sent once."""

    repeatable: tuple[str, ...]
    streams: tuple[str, ...]  # of either side
    keyed: Mapping[int, tuple[str, ...]]  # by the number of the field that holds the request's id

    @classmethod
    def of(cls, model: Model) -> Paths:
        """Return what the protos promise."""
        repeatable, streams = [_CHECK], [*_STREAMS]
        keyed: defaultdict[int, list[str]] = defaultdict(list)
        for path, method in sorted(model.methods.items()):
            if method.server_streaming or method.client_streaming:
                streams.append(path)
            elif method.idempotent:
                repeatable.append(path)
            elif number := _key_of(method):
                keyed[number].append(path)
        by_number = {number: tuple(keyed[number]) for number in sorted(keyed)}
        return cls(tuple(repeatable), tuple(streams), by_number)


def _key_of(method: Method) -> int:
    """Return the number of the field with the request's id; 0 where there is none."""
    field = method.input.fields_by_name.get(REQUEST_ID)
    if field is None or field.type != FieldDescriptor.TYPE_STRING or field.is_repeated:
        return 0
    return int(field.number)
