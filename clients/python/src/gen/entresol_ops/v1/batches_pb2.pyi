import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BatchState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BATCH_STATE_UNSPECIFIED: _ClassVar[BatchState]
    BATCH_STATE_PUBLISHED: _ClassVar[BatchState]
    BATCH_STATE_SUPERSEDED: _ClassVar[BatchState]
BATCH_STATE_UNSPECIFIED: BatchState
BATCH_STATE_PUBLISHED: BatchState
BATCH_STATE_SUPERSEDED: BatchState

class BatchRun(_message.Message):
    __slots__ = ("batch", "key", "generation", "state", "engine", "as_of_time", "input_rows", "output_rows", "inserted_rows", "updated_rows", "deleted_rows")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_TIME_FIELD_NUMBER: _ClassVar[int]
    INPUT_ROWS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_ROWS_FIELD_NUMBER: _ClassVar[int]
    INSERTED_ROWS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_ROWS_FIELD_NUMBER: _ClassVar[int]
    DELETED_ROWS_FIELD_NUMBER: _ClassVar[int]
    batch: str
    key: str
    generation: int
    state: BatchState
    engine: str
    as_of_time: _timestamp_pb2.Timestamp
    input_rows: int
    output_rows: int
    inserted_rows: int
    updated_rows: int
    deleted_rows: int
    def __init__(self, batch: _Optional[str] = ..., key: _Optional[str] = ..., generation: _Optional[int] = ..., state: _Optional[_Union[BatchState, str]] = ..., engine: _Optional[str] = ..., as_of_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., input_rows: _Optional[int] = ..., output_rows: _Optional[int] = ..., inserted_rows: _Optional[int] = ..., updated_rows: _Optional[int] = ..., deleted_rows: _Optional[int] = ...) -> None: ...
