"""The single translation of the driver's errors, by SQLSTATE, into the platform's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import asyncpg

from entresol.errors import (
    AlreadyExistsError,
    ChildrenExistError,
    ConflictError,
    DeadlineExceededError,
    EntresolError,
    InvalidArgumentError,
    NotFoundError,
    ReferenceMissingError,
    ResourceExhaustedError,
    StoreUnavailableError,
    UnavailableError,
)
from entresol.schema.model import Resource
from entresol.storage.identifiers import fitted, split_table

# What comes out of the driver. A TimeoutError is an OSError.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

Tables = Mapping[str, Resource]  # by `schema.table`

# "Key (author)=(users/ann) is not present ...": the parentheses are the same in every language of the server.
_KEY = re.compile(r"\((?P<columns>.*?)\)=\((?P<values>.*)\)", re.DOTALL)
# Of events PostgreSQL names the day.
_PARTITION = re.compile(r"_(\d{8}|other)$")
# Values that a column, or a cast in a filter, cannot take; 22000 is the driver's own refusal to send one. The rest of
# class 22 is a mistake of whoever wrote the SQL.
_BAD_VALUES = frozenset({"22000", "22001", "22003", "22007", "22008", "22021", "22P02", "22P05"})


def is_server_gone(error: BaseException) -> bool:
    """Whether `error` says that this server, or this connection to it, is of no use any more."""
    if isinstance(error, EntresolError):
        return error.__cause__ is not None and is_server_gone(error.__cause__)
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state.startswith(("08", "57P", "28", "3D")) or state == "25006"
    if isinstance(error, asyncpg.InterfaceError):
        return isinstance(error, asyncpg.ClientConfigurationError) or "connection is closed" in str(error)
    if isinstance(error, OSError):
        return not isinstance(error, TimeoutError)
    # InternalClientError: the server ended this connection while it rested, and the driver lost step over it.
    return isinstance(error, asyncpg.TargetServerAttributeNotMatched | asyncpg.InternalClientError)


def is_misconfigured(error: BaseException) -> bool:
    """Whether the URL is wrong, or the server is there and refuses the user, the password or the database."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(("28", "3D"))
    return isinstance(error, asyncpg.ClientConfigurationError)


def is_refusal(error: BaseException) -> bool:
    """Whether a COMMIT was answered with no, so that nothing was changed; after any other error nobody knows."""
    if not isinstance(error, asyncpg.PostgresError):
        return False
    state = error.sqlstate or ""
    return state.startswith("23") or state in ("25P02", "40001", "40002", "40P01")


def is_recovery_conflict(error: BaseException) -> bool:
    """Whether a replica gave up a read because replay had to go on; another server can answer it."""
    return isinstance(error, asyncpg.SerializationError | asyncpg.DeadlockDetectedError)


@contextmanager
def translated(tables: Tables) -> Iterator[None]:
    """Turn what the driver raises in this block into the platform's errors; what has none passes as it is."""
    try:
        yield
    except DRIVER_ERRORS as error:
        translation = meaning(error, tables)
        if translation is None:
            raise
        raise translation from error


def meaning(error: Exception, tables: Tables) -> EntresolError | None:
    """Return the platform's error for what the driver raised, or None when there is none."""
    if isinstance(error, TimeoutError):
        return DeadlineExceededError("the deadline passed before the database had answered")
    if is_server_gone(error):
        return StoreUnavailableError("the database cannot be reached at the moment; try again")
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error.sqlstate or "", error, tables)
    return None


def _of_state(state: str, error: asyncpg.PostgresError, tables: Tables) -> EntresolError | None:
    if state in _CONSTRAINTS:
        return _CONSTRAINTS[state](error, _resource(error, tables))
    if state in _BAD_VALUES:
        return _bad_value()
    if state in ("40001", "40P01", "55P03"):
        return ConflictError("a concurrent change won; read again and try again")
    if state.startswith("53"):
        return ResourceExhaustedError("the database has no resources left for this call; try again later")
    if state == "57014":
        return DeadlineExceededError("the database gave up the statement because its time was over")
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        return UnavailableError("the database was being migrated; try again")
    return None


def _resource(error: asyncpg.PostgresError, tables: Tables) -> Resource | None:
    fields = error.as_dict()
    table = f"{fields.get('schema_name')}.{fields.get('table_name')}"
    return tables.get(table) or tables.get(_PARTITION.sub("", table))


def _key(error: asyncpg.PostgresError) -> tuple[list[str], str]:
    """Return the columns of a violated key and their values as one text; nothing when the server hides them."""
    match = _KEY.search(error.as_dict().get("detail") or "")
    return (match["columns"].replace('"', "").split(", "), match["values"]) if match else ([], "")


def _unique(error: asyncpg.PostgresError, resource: Resource | None) -> EntresolError:
    columns, values = _key(error)
    if columns == ["name"]:
        return AlreadyExistsError(f"{values} already exists", metadata={"name": values})
    singular = resource.singular if resource else "record"
    fields = ", ".join(_field(column, resource) for column in columns) or "values"
    return AlreadyExistsError(f"another {singular} already has this {fields}", metadata={"fields": fields})


def _foreign_key(error: asyncpg.PostgresError, resource: Resource | None) -> EntresolError:
    columns, values = _key(error)
    if columns == [
        "name"
    ]:  # what is referred to was to be deleted; the table is that of the records that refer to it
        plural = resource.plural if resource else "others"
        return ChildrenExistError(
            f"{values} has {plural}, or {plural} refer to it", metadata={"name": values, "others": plural}
        )
    if columns == ["parent"]:
        return NotFoundError(values)
    field = _field(columns[0], resource) if columns else "a reference"
    return ReferenceMissingError(
        f"{field}: {values} does not exist", metadata={"field": field, "name": values}
    )


def _check(error: asyncpg.PostgresError, resource: Resource | None) -> EntresolError:
    constraint = error.as_dict().get("constraint_name") or ""
    for oneof in {field.oneof for field in resource.fields if field.oneof} if resource else ():
        if resource and constraint == fitted(f"{split_table(resource.table)[1]}_{oneof}_check"):
            return InvalidArgumentError.of(oneof, "has more than one of its fields set; set one at most")
    return InvalidArgumentError.of(
        resource.singular if resource else "request", "breaks a rule of the database"
    )


def _not_null(error: asyncpg.PostgresError, resource: Resource | None) -> EntresolError:
    return InvalidArgumentError.of(_field(error.as_dict().get("column_name") or "", resource), "is required")


def _field(column: str, resource: Resource | None) -> str:
    """Return the path of the field that `column` holds."""
    fields = resource.stored if resource else ()
    return next((field.name for field in fields if field.column and field.column.name == column), column)


def _bad_value() -> InvalidArgumentError:
    return InvalidArgumentError.of(
        "request", "holds a value that the database cannot keep: out of range, malformed, or text with U+0000"
    )


_CONSTRAINTS = {
    "23505": _unique,
    "23503": _foreign_key,
    "23001": _foreign_key,  # what PostgreSQL 18 calls a foreign key that restricts
    "23514": _check,
    "23502": _not_null,
}
