"""What the peers that speak REST have in common: names of fields, the mask of an update, and the codes of errors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

from tests.bench.peers.errors import ChangedError, ExistsError, InvalidError, NotFoundError, StoryError
from tests.bench.peers.stories import (
    WRITABLE,
    etag_of,
)

Kind = Literal["KIND_UNSPECIFIED", "KIND_STORY", "KIND_ASK", "KIND_SHOW", "KIND_JOB"]
KEEP_ALIVE_S = 75
KINDS: tuple[Kind, ...] = get_args(Kind)  # what a column holds is the place in here
STATUSES: Mapping[type[StoryError], int] = {
    InvalidError: 400,
    NotFoundError: 404,
    ExistsError: 409,
    ChangedError: 409,
}
# One worker, in the process itself. Connections outlive a load balancer's, as they should behind one.
UVICORN = {"loop": "uvloop", "http": "httptools", "access_log": False, "timeout_keep_alive": KEEP_ALIVE_S}


def camel(column: str) -> str:
    """Return the JSON's name of a column."""
    first, *others = column.split("_")
    return first + "".join(word.capitalize() for word in others)


COLUMNS = {camel(column): column for column in WRITABLE}


def columns_of(update_mask: str, sent: Collection[str]) -> list[str]:
    """Return the columns that a mask like `title,commentCount` names; each must be among those sent."""
    columns = []
    for field in filter(None, update_mask.split(",")):
        column = COLUMNS.get(field)
        if column is None:
            raise InvalidError(f"updateMask: {field} cannot be changed")
        if column not in sent:
            raise InvalidError(f"{field}: is in updateMask and has no value")
        columns.append(column)
    if not columns:
        raise InvalidError("updateMask: must not be empty")
    return columns


def values_of(body: object, columns: Collection[str]) -> dict[str, Any]:
    """Return what these columns become, by a body that its framework has checked."""
    values = {column: getattr(body, column) for column in columns}
    if "kind" in values:
        values["kind"] = KINDS.index(values["kind"])
    return values


def fields_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a story."""
    fields = dict(row)
    version = fields.pop("version")
    return fields | {"uid": str(row["uid"]), "kind": KINDS[row["kind"]], "etag": etag_of(version)}
