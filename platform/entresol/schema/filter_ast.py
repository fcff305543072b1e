"""The typed tree of a filter: what `filters.parse` returns and `storage.sql` turns into SQL.

Every node is a claim about one row and is either true or false, never unknown: `Not` is true for exactly the
rows for which its term is false, so a node that SQL would find NULL counts as false before `Not` sees it.

What a path reads, and what it is when nothing is there:

- `field` with no `steps`: the column. A NULL column counts as `absent`; when `absent` is None the node is
  false, whatever the operator, `!=` included (AIP-160: an unset message on the way never matches).
- `field` with `steps`: keys into the column's jsonb, `column #> steps`. Messages are kept there as
  ProtoJSON with proto field names: int64 as text, timestamps as RFC 3339, durations as `1.5s`, bytes as
  base64, enums by name, wrappers as what they wrap, and fields that have their default value may be
  missing. So a missing leaf counts as `absent`, but only where the value that holds it, `column #>
  steps[:-1]`, is not null; elsewhere the node is false.
- `field` None: the same with the element of the innermost enclosing `Has` in the place of the column. With no
  steps it is the element itself.

`in_json` says which of the two forms the leaf has: a native column or array element, or jsonb to be cast by
`kind`, `bits` and `signed`. Values are ready to be passed: `int` for numbers and for enums in columns,
`str` for enums in jsonb (their names), an aware UTC `datetime`, a `timedelta`; a FLOAT is to be compared as
`real`. Strings are ordered by code point (`COLLATE "C"`).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from entresol.schema.model import Field, Kind

Value: TypeAlias = str | int | float | bool | bytes | datetime | timedelta


class Operator(enum.Enum):
    """A comparison, spelled as in AIP-160 and in SQL."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="


@dataclass(frozen=True, slots=True)
class FieldPath:
    """Where a value stands in a row.

    `kind` and `repeated` are those of the leaf; a repeated leaf occurs only in `Has` and `Present`.
    `map_key` says that the last step is the key of a map. `dynamic` says that the leaf is inside a
    `google.protobuf.Struct`: a comparison is false unless `jsonb_typeof` is `string`, `number` or `boolean`
    for the kinds STRING, DOUBLE and BOOL.
    """

    field: Field | None
    steps: tuple[str, ...]
    kind: Kind
    repeated: bool = False
    absent: Value | None = None
    in_json: bool = False
    bits: int = 0
    signed: bool = True
    map_key: bool = False
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Compare:
    """`path operator value`. BOOL, BYTES and ENUM know only `=` and `!=`.

    With EQUAL and a value other than `path.absent` the plain column may be compared, so that an index serves.
    """

    path: FieldPath
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Like:
    r"""A string against a pattern, case-sensitive: SQL's LIKE, a `\` before each literal `%`, `_` and `\`.

    `negated` asks for strings that do not match; a path that leads nowhere matches neither way.
    """

    path: FieldPath
    pattern: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """`path:*`: a value is there that is not the default.

    Repeated leaves and MAPs: at least one element. A `map_key`, or a path whose `absent` is None: not null.
    All others: other than `absent`.
    """

    path: FieldPath


@dataclass(frozen=True, slots=True)
class Has:
    """Some element of the repeated `path` satisfies `condition`, whose paths begin at the element.

    The commonest form is `Compare(element, EQUAL, value)` with no steps over an array column: `tags:news`.
    """

    path: FieldPath
    condition: Filter


@dataclass(frozen=True, slots=True)
class Search:
    """A bare word: `text` occurs, in any case, in one of `fields`, strings or arrays of strings."""

    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class And:
    """All terms, two or more."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of the terms, of which there are two or more."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The rows that `term` leaves out."""

    term: Filter


Filter: TypeAlias = And | Or | Not | Compare | Like | Present | Has | Search
