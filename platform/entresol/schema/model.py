"""The frozen model that everything else reads: resources, fields, services and methods of a descriptor set.

Nothing here does input or output, and nothing here changes once `schema.load` has built it.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from entresol.schema.names import Pattern
from entresol.schema.paths import Binding

MessageClass: TypeAlias = type[Message]  # some of the classes below have a field named `type`


class Kind(enum.Enum):
    """What a field holds, as far as columns, filters and masks care."""

    STRING = "string"
    BYTES = "bytes"
    BOOL = "bool"
    INT = "int"  # every integer type; `Field.bits` and `Field.signed` say which
    FLOAT = "float"
    DOUBLE = "double"
    ENUM = "enum"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    MESSAGE = "message"
    MAP = "map"


class Behavior(enum.Enum):
    """`google.api.field_behavior`, with its numbers."""

    OPTIONAL = 1
    REQUIRED = 2
    OUTPUT_ONLY = 3
    INPUT_ONLY = 4
    IMMUTABLE = 5
    UNORDERED_LIST = 6
    NON_EMPTY_DEFAULT = 7
    IDENTIFIER = 8


# What only the server writes, and what never changes: an update that names them leaves them alone.
UNWRITABLE = frozenset({Behavior.OUTPUT_ONLY, Behavior.IDENTIFIER})


class Consistency(enum.IntEnum):
    """What a read promises; the numbers of `entresol.options.v1.Consistency`."""

    EVENTUAL = 1
    BOUNDED = 2
    SESSION = 3
    STRONG = 4


class UnfencedWrites(enum.IntEnum):
    """What a write of a STRONG resource does without Redis; `entresol.options.v1.UnfencedWrites`."""

    REFUSE = 1
    ALLOW = 2


class StaleReads(enum.IntEnum):
    """What is done with a hit that may be too old; `entresol.options.v1.StaleReads`."""

    SERVE = 1
    REFUSE = 2


class OnDelete(enum.IntEnum):
    """What becomes of a record when the one it refers to is deleted; `entresol.options.v1.OnDelete`."""

    RESTRICT = 1
    CASCADE = 2
    CLEAR = 3
    IGNORE = 4


class IdSource(enum.IntEnum):
    """Who chooses the last segment of a new name; `entresol.options.v1.IdSource`."""

    EITHER = 1
    CLIENT = 2
    SERVER = 3


class Role(enum.Enum):
    """The standard fields (AIP-148) that the platform itself fills or reads."""

    NAME = "name"
    UID = "uid"
    ETAG = "etag"
    CREATE_TIME = "create_time"
    UPDATE_TIME = "update_time"
    DELETE_TIME = "delete_time"
    PURGE_TIME = "purge_time"
    EXPIRE_TIME = "expire_time"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a resource's table.

    `default` is an SQL constant or None; `nullable` columns distinguish absent from empty.
    """

    name: str
    type: str
    nullable: bool
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A field that holds the name of another resource. `type` is `*` when any resource may be named."""

    type: str
    on_delete: OnDelete


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a resource's message. `column` is None for fields that are computed: `etag`."""

    name: str
    number: int
    kind: Kind
    column: Column | None
    behaviors: frozenset[Behavior]
    descriptor: FieldDescriptor
    repeated: bool = False
    wrapper: bool = False  # google.protobuf.*Value: kind is the wrapped kind, absence is null
    presence: bool = False  # unset differs from the default value
    bits: int = 0  # for INT: 32 or 64
    signed: bool = True
    oneof: str | None = None
    reference: Reference | None = None
    role: Role | None = None
    enum: EnumDescriptor | None = None

    @property
    def output_only(self) -> bool:
        """Whether only the server writes this field."""
        return Behavior.OUTPUT_ONLY in self.behaviors

    @property
    def immutable(self) -> bool:
        """Whether the field keeps the value it was created with."""
        return Behavior.IMMUTABLE in self.behaviors

    @property
    def required(self) -> bool:
        """Whether a record cannot be without this field."""
        return Behavior.REQUIRED in self.behaviors

    @property
    def input_only(self) -> bool:
        """Whether the field is accepted and never returned."""
        return Behavior.INPUT_ONLY in self.behaviors


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a resource's table: column names with their direction."""

    name: str
    columns: tuple[tuple[str, bool], ...]  # (column, descending)
    unique: bool


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long entries live, in seconds, how old they may be, and what is done when that cannot be kept.

    `staleness_s_max` of 0 is no bound. `unfenced_writes` is for STRONG resources. `shared_s_max` is how long shared
    HTTP caches may keep what GET answered; 0: not at all.
    """

    enabled: bool = True
    ttl_s: float = 3600.0
    negative_ttl_s: float = 30.0
    unfenced_writes: UnfencedWrites = UnfencedWrites.REFUSE
    staleness_s_max: float = 0.0
    stale_reads: StaleReads = StaleReads.SERVE
    shared_s_max: float = 0.0


@dataclass(frozen=True, slots=True)
class ListScope:
    """Lists that are cached and become stale together; see `list_scopes.py`.

    `fields` are those that the lists' filters pin; none stands for all lists of a parent, or of the table.
    """

    fields: tuple[str, ...]
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Events:
    """Records that are written once, kept by the day: `kept_days` after it has ended, a day is dropped; 0: never."""

    kept_days: int = 0


@dataclass(frozen=True)
class Resource:
    """A resource type: its message, names, table and policies.

    The primary key of every table is `name text COLLATE "C"`, of `events` with `create_time`; a resource with a parent
    has `parent` beside. `row_version bigint` is set by a trigger, of events always 1, and never appears in a message.
    """

    type: str  # stories.entresol.dev/Story
    message: str  # stories.v1.Story
    singular: str
    plural: str
    patterns: tuple[Pattern, ...]
    table: str
    fields: tuple[Field, ...]
    indexes: tuple[Index, ...] = ()
    server_columns: tuple[Column, ...] = ()
    cache: CachePolicy = CachePolicy()
    consistency: Consistency = Consistency.BOUNDED
    search_fields: tuple[str, ...] = ()
    list_scopes: tuple[ListScope, ...] = ()
    is_published: bool = False
    soft_delete_retention_s: float | None = None
    id_source: IdSource = IdSource.EITHER
    events: Events | None = None
    page_size_default: int = 50
    page_size_max: int = 1000
    parents: tuple[str, ...] = ()  # resource types
    children: tuple[str, ...] = ()  # resource types
    revision: str = ""  # 8 hex digits over the stored fields; entries of another revision are not read
    descriptor: Descriptor | None = field(default=None, repr=False, compare=False)
    message_class: MessageClass = field(default=Message, repr=False, compare=False)

    @cached_property
    def is_fenced(self) -> bool:
        """Whether the cache may answer STRONG reads of it, because every write of it is fenced (rule R9)."""
        return self.consistency is Consistency.STRONG and self.cache.enabled

    @cached_property
    def entangled(self) -> frozenset[str]:
        """Return the columns whose change may wait for transactions that hold other rows: references, unique keys."""
        unique = (column for index in self.indexes if index.unique for column, _ in index.columns)
        return frozenset(unique) | {
            field.column.name for field in self.stored if field.reference and field.column
        }

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Return the fields by their names."""
        return {field.name: field for field in self.fields}

    @cached_property
    def by_role(self) -> Mapping[Role, Field]:
        """Return the standard fields by their roles."""
        return {field.role: field for field in self.fields if field.role is not None}

    @cached_property
    def stored(self) -> tuple[Field, ...]:
        """Return the fields that have a column, in the order of their numbers."""
        return tuple(field for field in self.fields if field.column is not None)

    @property
    def has_parent(self) -> bool:
        """Whether names of this resource begin with the name of another."""
        return bool(self.patterns[0].parent_segments)

    @property
    def soft_delete(self) -> bool:
        """Whether Delete marks the record instead of removing it."""
        return self.soft_delete_retention_s is not None


class MethodKind(enum.Enum):
    """What the platform knows how to do; everything else is CUSTOM and needs a registered function."""

    GET = "get"
    BATCH_GET = "batch_get"
    LIST = "list"
    CREATE = "create"
    BATCH_CREATE = "batch_create"
    UPDATE = "update"
    DELETE = "delete"
    UNDELETE = "undelete"
    PURGE = "purge"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class JobLimit:
    """How many attempts at jobs of one kind may run at once, and begin in a second, over all workers; 0: any number."""

    concurrency: int = 0
    rate: float = 0.0  # a second
    burst: int = 0  # that may begin at once


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """How the job is run that a long-running method begins, and what its operation answers with in the end."""

    response: str  # full name of a message
    metadata: str  # likewise
    queue: str = "default"
    timeout_s: float = 3600.0  # of one attempt
    attempts_max: int = 10
    priority: int = 0
    limit: JobLimit | None = None
    queue_max: int = 1_000_000


@dataclass(frozen=True)
class Method:
    """One rpc. `resource` and `resource_field` are set for standard methods.

    `resource_field` is the request field that carries the resource (Create, Update) or the response field
    that carries the repeated resources (List, BatchGet, BatchCreate).
    """

    full_name: str  # stories.v1.StoryService.GetStory
    path: str  # /stories.v1.StoryService/GetStory
    kind: MethodKind
    input: Descriptor
    output: Descriptor
    input_class: type[Message]
    output_class: type[Message]
    client_streaming: bool = False
    server_streaming: bool = False
    resource: Resource | None = None
    resource_field: str | None = None
    consistency: Consistency | None = None
    idempotent: bool = False  # safe to repeat: reads, and methods marked so in the proto
    safe: bool = False  # changes nothing: a GET may call it, and so may whoever prefetches links
    request_id: str = ""  # the field that a repeated request is known by (AIP-155); empty: none
    bindings: tuple[Binding, ...] = ()  # how it is called over HTTP, the main way first
    job: JobPolicy | None = None  # of a method that answers with an operation


@dataclass(frozen=True)
class Service:
    """One service of the protos and its methods, in the order of the file."""

    full_name: str
    methods: tuple[Method, ...]


class _Resources(dict[str, Resource]):
    """Resources by names that people write: of one that is not there, the error tells what may be meant."""

    def __missing__(self, name: str) -> Resource:
        near = difflib.get_close_matches(name, self, 1)
        meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(self))}"
        raise KeyError(f"no resource is called {name!r}; {meant}")


@dataclass(frozen=True)
class Model:
    """Everything the platform knows of a set of protos."""

    resources: Mapping[str, Resource]  # by type
    services: Mapping[str, Service]  # by full name
    pool: DescriptorPool
    descriptor_set: bytes = b""

    @cached_property
    def methods(self) -> Mapping[str, Method]:
        """Return every method by its path."""
        return {method.path: method for service in self.services.values() for method in service.methods}

    @cached_property
    def by_message(self) -> Mapping[str, Resource]:
        """Return every resource by the full name of its message."""
        return _Resources((resource.message, resource) for resource in self.resources.values())

    @cached_property
    def by_table(self) -> Mapping[str, Resource]:
        """Return every resource by the name of its table."""
        return {resource.table: resource for resource in self.resources.values()}
