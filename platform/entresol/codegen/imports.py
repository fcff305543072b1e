"""Descriptors of protos that may be imported and that no Python package ships as text under that name."""

from __future__ import annotations

from functools import cache

from google.longrunning import operations_proto_pb2
from google.protobuf import (
    descriptor_pb2,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from protovalidate._gen.buf.validate import validate_pb

_OPERATIONS = "google/longrunning/operations.proto"


@cache
def imported_set() -> bytes:
    """Return a serialized set of the two protos, and of what `buf/validate/validate.proto` imports.

    protovalidate ships its proto as a descriptor only; googleapis-common-protos names the file of the second
    `operations_proto.proto`, which nobody imports. Whatever else they import, protoc finds as text.
    """
    found = FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(found.file.add())
    found.file.append(FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary()))
    operations = found.file.add()
    operations_proto_pb2.DESCRIPTOR.CopyToProto(operations)
    operations.name = _OPERATIONS
    return found.SerializeToString(deterministic=True)
