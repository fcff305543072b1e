from entresol_ops.v1 import batches_pb2 as _batches_pb2
from entresol_ops.v1 import jobs_pb2 as _jobs_pb2
from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Referrer(_message.Message):
    __slots__ = ("name", "visits", "etag")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    visits: int
    etag: str
    def __init__(self, name: _Optional[str] = ..., visits: _Optional[int] = ..., etag: _Optional[str] = ...) -> None: ...

class GetReferrerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListReferrersRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ...) -> None: ...

class ListReferrersResponse(_message.Message):
    __slots__ = ("referrers", "next_page_token")
    REFERRERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    referrers: _containers.RepeatedCompositeFieldContainer[Referrer]
    next_page_token: str
    def __init__(self, referrers: _Optional[_Iterable[_Union[Referrer, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CountReferrersRequest(_message.Message):
    __slots__ = ("key", "engine")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    key: str
    engine: str
    def __init__(self, key: _Optional[str] = ..., engine: _Optional[str] = ...) -> None: ...
