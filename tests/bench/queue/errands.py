"""What clients of our server say: run an errand, write one down, and ask how far one is."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.message_factory import GetMessageClass
from tests.bench.operation import Operation
from tests.bench.wire import Request

from entresol.app import load_model
from entresol.config import Settings
from entresol.schema.model import Model

PROTOS = Path(__file__).parent / "protos"
RUN, CREATE, POLL = "run_errand", "create_errand", "get_operation"
KINDS = frozenset({RUN, CREATE, POLL})


def steps(operation: Operation, _round: str) -> tuple[Request, ...]:
    """Return the call of an operation; the row of a poll is the id of its job."""
    (number,) = operation.rows
    if operation.kind == RUN:
        return (_request("errands.v1.ErrandService", "RunErrand", b"operations/", number=number),)
    if operation.kind == CREATE:
        id_ = f"e{number:09d}"
        errand = {"number": number}
        expected = f"errands/{id_}".encode()
        return (_request("errands.v1.ErrandService", "CreateErrand", expected, errand=errand, errand_id=id_),)
    name = f"operations/{uuid.UUID(int=number)}"
    return (_request("google.longrunning.Operations", "GetOperation", name.encode(), name=name),)


def _request(service: str, method: str, expected: bytes, **fields: Any) -> Request:
    path = f"/{service}/{method}"
    request = GetMessageClass(_model().methods[path].input)(**fields)
    return Request(b"POST", path.encode(), request.SerializeToString(), (expected,))


@cache
def _model() -> Model:
    return load_model(Settings.load({}, protos=str(PROTOS)))
