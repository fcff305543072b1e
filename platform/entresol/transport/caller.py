"""A gRPC client that knows no proto: it asks the server's reflection, as `entresol call` does."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from entresol.errors import InvalidArgumentError
from entresol.service.status import CallFailedError
from entresol.transport.assignment import assign, fill

# By name, in lower case; bytes where the name ends with `-bin`.
Metadata = Mapping[str, str | bytes]
_DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call brought back: the reply, the trailing metadata, and how long it took."""

    reply: Message
    trailing: Mapping[str, str]
    duration_s: float


class Caller:
    """A client of one server, by its address `host:port`. Threads may share it."""

    def __init__(self, address: str, *, timeout_s: float = 10.0) -> None:
        self._channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
        self._pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self._channel))
        self._timeout_s = timeout_s
        # A pool that asks for files which it does not have breaks when it is asked by another thread meanwhile.
        self._asking = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def method(self, path: str) -> MethodDescriptor:
        """Return the descriptor of `package.Service/Method`.

        Raises:
            InvalidArgumentError: the server has no such method; the text lists what the service has.
        """
        service_name, _, name = path.strip("/").replace("/", ".").rpartition(".")
        try:
            with self._asking:
                service = self._pool.FindServiceByName(service_name)
        except grpc.RpcError as error:
            raise CallFailedError(_status(error)) from error
        except KeyError as error:
            raise InvalidArgumentError.of("method", f"the server has no service {service_name!r}") from error
        found = service.methods_by_name.get(name)
        if found is None:
            has = ", ".join(service.methods_by_name)
            raise InvalidArgumentError.of("method", f"{service_name} has no method {name!r}; it has {has}")
        return found

    def call(
        self, path: str, request: Message | Mapping[str, Any], metadata: Metadata | None = None
    ) -> Answer:
        """Call a unary method and return its answer; `request` may be its fields, as `fill` takes them.

        Raises:
            CallFailedError: the server answered with an error, or could not be reached.
            InvalidArgumentError: there is no such method or field, or a value does not fit; nothing is sent.
        """
        method = self.method(path)
        message = (
            request if isinstance(request, Message) else self.filled(self.new(method.input_type), request)
        )
        rpc = self._channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}")
        started = time.perf_counter()
        try:
            reply, call = rpc.with_call(
                message.SerializeToString(), timeout=self._timeout_s, metadata=tuple((metadata or {}).items())
            )
        except grpc.RpcError as error:
            raise CallFailedError(_status(error), _trailing(error)) from error
        duration_s = time.perf_counter() - started
        return Answer(GetMessageClass(method.output_type).FromString(reply), _trailing(call), duration_s)

    def filled(self, message: Message, values: Mapping[str, Any]) -> Message:
        """Return `message` with these fields, as `fill` takes them."""
        fill(message, values)
        return message

    def new(self, descriptor: Descriptor) -> Message:
        """Return an empty message of this type."""
        return GetMessageClass(descriptor)()

    def unpacked(self, packed: Any) -> Message:
        """Return what a `google.protobuf.Any` holds, of a type that the server knows."""
        name = packed.type_url.rpartition("/")[2]
        with self._asking:
            found = self._pool.FindMessageTypeByName(name)
        return GetMessageClass(found).FromString(packed.value)

    def request(self, method: MethodDescriptor, assignments: Sequence[str]) -> Message:
        """Return the request that `path.to.field=value` texts describe; a repeated field is given several times.

        Raises:
            InvalidArgumentError: a path names no field, or a value does not fit it.
        """
        message = self.new(method.input_type)
        for assignment in assignments:
            path, equals, text = assignment.partition("=")
            if not equals:
                raise InvalidArgumentError.of(assignment, "write field=value")
            assign(message, path.split("."), text, path)
        return message


def _trailing(call: Any) -> dict[str, str]:
    return {key: value for key, value in call.trailing_metadata() or () if isinstance(value, str)}


def _status(error: Any) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=error.code().value[0], message=error.details() or "")
