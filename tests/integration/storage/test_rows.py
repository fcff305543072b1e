"""What is stored is returned byte for byte, whatever its kind."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.storage.messages import messages

from entresol.errors import InvalidArgumentError
from entresol.schema.model import Model
from entresol.storage.rows import etag
from entresol.storage.store import Store

NUMBERS = itertools.count()


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
async def test_a_message_with_fields_of_every_kind_comes_back_as_it_was(
    data: st.DataObject, store: Store, zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    message: Any = data.draw(messages(resource.message_class))
    message.name = f"specimens/s{next(NUMBERS)}"
    async with store.transaction() as transaction:
        (inserted,) = await transaction.insert(resource, [message])
    read = await store.get(resource, [message.name], primary=True)
    message.ClearField("secret")
    message.etag = etag(inserted.version)
    assert inserted.message == message.SerializeToString(deterministic=True)
    assert read.rows[message.name] == inserted


@given(data=st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
async def test_an_update_of_all_fields_leaves_nothing_of_what_was_there(
    data: st.DataObject, store: Store, zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    before: Any = data.draw(messages(resource.message_class))
    after: Any = data.draw(messages(resource.message_class))
    before.name = after.name = f"specimens/s{next(NUMBERS)}"
    async with store.transaction() as transaction:
        await transaction.insert(resource, [before])
        row = await transaction.update(resource, after, resource.fields, version=None)
    after.ClearField("secret")
    after.etag = etag(row.version)
    assert row.message == after.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_field", {"seconds": 1, "nanos": 1}),
        ("time_field", {"seconds": 253_402_300_800}),
        ("duration_field", {"seconds": 1, "nanos": -1}),
        ("times", [{"nanos": 999_999_999}]),
        ("string_field", "a\0b"),
        ("labels", {"a": "\0"}),
        ("strings", ["\0"]),
    ],
)
async def test_what_a_column_cannot_hold_is_refused_and_never_rounded(
    field: str, value: object, store: Store, zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    with pytest.raises(InvalidArgumentError):
        async with store.transaction() as transaction:
            await transaction.insert(resource, [resource.message_class(name="specimens/a", **{field: value})])


async def test_a_field_that_is_only_accepted_is_stored_and_never_returned(
    store: Store, zoo: Model, database: Any
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    async with store.transaction() as transaction:
        await transaction.insert(resource, [resource.message_class(name="specimens/a", secret="hidden")])
    assert await database.psql("SELECT secret FROM exotic.specimens") == "hidden"
    read = await store.get(resource, ["specimens/a"], primary=True)
    assert b"hidden" not in read.rows["specimens/a"].message
