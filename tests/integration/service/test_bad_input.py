"""Ten thousand requests that no client should send: each gets an answer that says so, and none breaks the server."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entresol.schema.model import Method, MethodKind, Model
from entresol.testing.running import RunningPlatform

REQUESTS = 10_000
MANGLED = 4  # of each request that hypothesis makes, which is what costs time
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
}
ODD = st.sampled_from([
    "", "-", "*", "stories/1", "stories/-", "users/-/x", "stories/a/comments/b", "/", "stories/", "stories//x",
    "stories/\x00", "stories/é", "stories/" + "x" * 5000, "score desc", "score desc, score", "name asc", "a b c",
    'title = "x"', "score > 1 AND NOT (title:foo)", "score > ", "((((", '"', "NOT", "tags:1", "post_time > 'x'",
    "score=99999999999999999999999", "kind = KIND_ASK", "annotations.x:y", "title", "title.x", "annotations.`a.b`",
    "tags[0]", "00000000-0000-4000-8000-000000000000", "x" * 100_000,
])  # fmt: skip
TEXT = st.one_of(ODD, st.text(max_size=40))
NUMBERS = st.sampled_from([0, 1, -1, 2, 50, 1001, 2**31 - 1, -(2**31)])


def value(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return message(field.message_type, depth - 1)
    if field.type == FieldDescriptor.TYPE_STRING:
        return TEXT
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=40)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64):
        return st.integers(0, 2**32 - 1)
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return st.floats(width=32)
    return NUMBERS


def message(descriptor: Descriptor, depth: int = 4) -> st.SearchStrategy[Message]:
    @st.composite
    def build(draw: st.DrawFn) -> Message:
        made = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if depth <= 0 or not draw(st.booleans()):
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                for key in draw(st.lists(st.text(max_size=8), max_size=2)):
                    getattr(made, field.name)[key] = draw(TEXT)
            elif field.is_repeated:
                items = draw(st.lists(value(field, depth), max_size=3))
                getattr(made, field.name).extend(items)
            elif field.message_type is not None:
                getattr(made, field.name).CopyFrom(draw(value(field, depth)))
            else:
                setattr(made, field.name, draw(value(field, depth)))
        return made

    return build()


def mangled(request: bytes, draw: random.Random) -> bytes:
    """Return a request that was cut, corrupted, or written by a newer proto."""
    match draw.randrange(3):
        case 0:
            return request[: draw.randrange(len(request) + 1)]
        case 1 if request:
            at = draw.randrange(len(request))
            return request[:at] + draw.randbytes(draw.randrange(1, 4)) + request[at + 1 :]
    return request + b"\xba\x3e\x03abc"


def standard(model: Model) -> list[Method]:
    return [method for method in model.methods.values() if method.kind is not MethodKind.CUSTOM]


@pytest.fixture(scope="module")
def channel(stories: RunningPlatform) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(stories.address) as channel:
        yield channel


def bombard(rpc: Any, method: Method, times: int) -> Counter[grpc.StatusCode]:
    """Send `times` made-up requests, and as many mangled ones for each, and count the answers."""
    counts: Counter[grpc.StatusCode] = Counter()

    def send(request: bytes) -> None:
        try:
            rpc(request, timeout=20)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
            assert code in EXPECTED, (  # noqa: PT017 - most requests fail, and may
                f"{method.path} answered {code.name}: {error.details()} to {request!r}"
            )
        counts[code] += 1

    @settings(
        max_examples=times,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(message(method.input), st.randoms())
    def send_all(made: Message, draw: random.Random) -> None:
        request = made.SerializeToString()
        for one in [request, *(mangled(request, draw) for _ in range(MANGLED))]:
            send(one)

    send_all()
    return counts


@pytest.mark.timeout(300)
def test_no_request_breaks_the_server_or_the_connection(
    channel: grpc.Channel, stories: RunningPlatform
) -> None:
    methods = standard(stories.platform.model)
    counts: Counter[grpc.StatusCode] = Counter()
    for method in methods:
        counts += bombard(
            channel.unary_unary(method.path), method, REQUESTS // (MANGLED + 1) // len(methods) + 1
        )
    assert counts.total() >= REQUESTS
    assert counts[grpc.StatusCode.INVALID_ARGUMENT] > REQUESTS // 10
    assert counts[grpc.StatusCode.OK] > 0
