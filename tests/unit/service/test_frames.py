"""Frames are exactly what protobuf would have written."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from entresol.service.frames import repeated
from entresol.varint import varint


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=6000), max_size=20))
def test_a_join_of_messages_parses_as_the_repeated_field(names: list[str]) -> None:
    files = [FileDescriptorProto(name=name) for name in names]
    joined = repeated(1, [file.SerializeToString() for file in files])
    assert FileDescriptorSet.FromString(joined) == FileDescriptorSet(file=files)


@given(st.integers(0, 2**63))
def test_a_varint_has_seven_bits_in_each_byte(number: int) -> None:
    encoded = varint(number)
    assert sum((byte & 127) << (7 * place) for place, byte in enumerate(encoded)) == number
    assert all(byte & 128 for byte in encoded[:-1])
    assert not encoded[-1] & 128
