"""The driver's errors in the platform's words, in whatever language the server speaks."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from tests.integration.storage.zoo import zoo_model

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
from entresol.storage.identifiers import full_name
from entresol.storage.sqlstate import is_refusal, is_server_gone, meaning, translated

TABLES = {full_name(resource.table): resource for resource in zoo_model().resources.values()}


def raised(state: str, **fields: str) -> asyncpg.PostgresError:
    keys = {"detail": "D", "schema": "s", "table": "t", "constraint": "n", "column": "c"}
    error: Any = asyncpg.PostgresError.new(
        {
            "S": "ERROR",
            "C": state,
            "M": "secret internals",
            **{keys[name]: text for name, text in fields.items()},
        }
    )
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (raised("23505", detail="Key (name)=(zoos/a) already exists."), AlreadyExistsError),
        (raised("23505", detail='Schlüssel »("order")=(7)« existiert bereits.'), AlreadyExistsError),
        (raised("23505"), AlreadyExistsError),
        (raised("23503", detail="Key (parent)=(zoos/a) is not present in table."), NotFoundError),
        (raised("23503", detail="Key (keeper)=(keepers/k) is not present in table."), ReferenceMissingError),
        (
            raised("23503", detail='Key (name)=(zoos/a) is still referenced from table "cages".'),
            ChildrenExistError,
        ),
        (raised("23503"), ReferenceMissingError),
        (
            raised("23514", table="specimens", schema="exotic", constraint="specimens_size_check"),
            InvalidArgumentError,
        ),
        (raised("23514", constraint="other"), InvalidArgumentError),
        (raised("23502", table="animals", schema="public", column="keeper"), InvalidArgumentError),
        (raised("22003"), InvalidArgumentError),
        (raised("22021"), InvalidArgumentError),
        (asyncpg.DataError("value out of int32 range"), InvalidArgumentError),
        (raised("40001"), ConflictError),
        (raised("40P01"), ConflictError),
        (raised("55P03"), ConflictError),
        (raised("53300"), ResourceExhaustedError),
        (raised("57014"), DeadlineExceededError),
        (TimeoutError(), DeadlineExceededError),
        (raised("57P01"), StoreUnavailableError),
        (raised("57P03"), StoreUnavailableError),
        (raised("08006"), StoreUnavailableError),
        (raised("25006"), StoreUnavailableError),
        (raised("28P01"), StoreUnavailableError),
        (ConnectionRefusedError(), StoreUnavailableError),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailableError),
        (asyncpg.TargetServerAttributeNotMatched(), StoreUnavailableError),
        (asyncpg.InvalidCachedStatementError("cached plan"), UnavailableError),
    ],
)
def test_an_error_has_one_meaning_that_tells_no_internals(
    error: Exception, expected: type[EntresolError]
) -> None:
    with pytest.raises(EntresolError) as caught, translated(TABLES):
        raise error
    assert type(caught.value) is expected
    assert caught.value.__cause__ is error
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("error", [raised("22012"), raised("42P01"), raised("XX000")])
def test_a_mistake_in_sql_has_no_meaning_for_callers(error: asyncpg.PostgresError) -> None:
    assert meaning(error, TABLES) is None
    with pytest.raises(asyncpg.PostgresError) as caught, translated(TABLES):
        raise error
    assert caught.value is error


def test_fields_are_named_as_in_the_proto() -> None:
    taken = meaning(
        raised("23505", table="cages", schema="public", detail='Key ("order")=(7) exists'), TABLES
    )
    assert taken is not None
    assert taken.metadata == {"fields": "code"}
    assert "another cage already has this code" in taken.message
    kept = meaning(raised("23503", table="cages", schema="public", detail="Key (name)=(zoos/a) ..."), TABLES)
    assert kept is not None
    assert kept.metadata == {"name": "zoos/a", "others": "cages"}
    both = meaning(
        raised("23514", table="specimens", schema="exotic", constraint="specimens_size_check"), TABLES
    )
    assert isinstance(both, InvalidArgumentError)
    assert both.violations[0].field == "size"


def test_a_name_may_hold_parentheses() -> None:
    error = meaning(raised("23505", detail="Key (name)=(zoos/a)=(b) already exists."), TABLES)
    assert error is not None
    assert error.metadata == {"name": "zoos/a)=(b"}


def test_only_a_clear_no_means_that_nothing_was_committed() -> None:
    assert all(is_refusal(raised(state)) for state in ("23503", "23505", "40001", "40P01", "25P02"))
    unclear = [raised("57014"), raised("57P01"), raised("40003"), raised("08006"), TimeoutError(), OSError()]
    assert not any(is_refusal(error) for error in unclear)


def test_the_cause_of_a_translated_error_still_tells_that_the_server_is_gone() -> None:
    with pytest.raises(StoreUnavailableError) as caught, translated(TABLES):
        raise raised("57P01")
    assert is_server_gone(caught.value)
    assert not is_server_gone(NotFoundError("zoos/a"))
    assert not is_server_gone(TimeoutError())


@pytest.mark.parametrize("table", ["specimens", "specimens_20261123", "specimens_other"])
def test_a_day_of_events_is_its_table(table: str) -> None:
    error = raised("23514", table=table, schema="exotic", constraint="specimens_size_check")
    found = meaning(error, TABLES)
    assert isinstance(found, InvalidArgumentError)
    assert [violation.field for violation in found.violations] == ["size"]
