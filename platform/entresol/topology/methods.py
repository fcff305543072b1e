"""What may be sent again to another server, by the protos: reads, and writes whose request says who they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from entresol.schema.model import Model
from entresol.schema.repetition import Repetition, repetition_of

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
            elif (repetition := repetition_of(method)) is Repetition.KEYED:
                keyed[method.input.fields_by_name[method.request_id].number].append(path)
            elif repetition is not Repetition.UNSAFE:
                repeatable.append(path)
        by_number = {number: tuple(keyed[number]) for number in sorted(keyed)}
        return cls(tuple(repeatable), tuple(streams), by_number)
