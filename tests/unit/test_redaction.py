"""What no log and no page may show, and what they may."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from entresol.redaction import HIDDEN, has_marks, is_secret, redacted, shown

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"postgresql://ann:{SECRET}@db:5432/app", f"postgresql://ann:{HIDDEN}@db:5432/app"),
        (f"redis://:{SECRET}@cache:6379/0", f"redis://:{HIDDEN}@cache:6379/0"),
        (
            f"amqps://a:{SECRET}@one/v amqps://b:{SECRET}@two/v",
            f"amqps://a:{HIDDEN}@one/v amqps://b:{HIDDEN}@two/v",
        ),
        (f"postgresql://ann:p@{SECRET}@db/app", f"postgresql://ann:{HIDDEN}@db/app"),
        (
            f"postgresql:///app?user=ann&password={SECRET}&port=1",
            f"postgresql:///app?user=ann&password={HIDDEN}&port=1",
        ),
        (f"sc://spark:443/;token={SECRET};use_ssl=true", f"sc://spark:443/;token={HIDDEN};use_ssl=true"),
        (
            f"DETAIL:  Key (email)=({SECRET}@example.com) already exists.",
            f"DETAIL:  Key (email)=({HIDDEN}) already exists.",
        ),
        (f"DETAIL:  Failing row contains (7, {SECRET}, f(x)).", f"DETAIL:  Failing row contains ({HIDDEN})."),
        (
            f"DETAIL:  Schlüssel »(a, b)=(1, {SECRET})« existiert.\nHINT:  f(x)",
            f"DETAIL:  Schlüssel »(a, b)=({HIDDEN})« existiert.\nHINT:  f(x)",
        ),
        (
            f"x (y)\nDETAIL:  Zeile (7, a\n{SECRET}) ist falsch.",
            f"x (y)\nDETAIL:  Zeile ({HIDDEN}) ist falsch.",
        ),
        ("postgresql://db:5432/app and http://127.0.0.1:9080/", None),
        ("a = b, and user@example.com is no URL", None),
    ],
)
def test_passwords_of_urls_and_values_of_refused_rows_are_hidden_and_nothing_else(
    text: str, says: str | None
) -> None:
    assert redacted(text) == (text if says is None else says)


@pytest.mark.parametrize(
    "name", ["password", "db_password", "token_keys", "authorization", "X-Api-Key", "cookie"]
)
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert is_secret(name)
    assert shown(SECRET, name) == HIDDEN
    assert shown({name: SECRET}) == {name: HIDDEN}


@pytest.mark.parametrize("name", ["cache_prefix", "tokenizer", "tls_key", "request_id_ttl_s", "caller"])
def test_other_names_are_no_secrets(name: str) -> None:
    assert not is_secret(name)


def field(
    name: str, number: int, *, kind: str = "", marked: bool = False, many: bool = False
) -> FieldDescriptorProto:
    found = FieldDescriptorProto(
        name=name,
        number=number,
        label=FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL,
        type=FieldDescriptorProto.TYPE_MESSAGE if kind else FieldDescriptorProto.TYPE_STRING,
    )
    if kind:
        found.type_name = kind
    found.options.debug_redact = marked
    return found


@pytest.fixture(scope="module")
def person() -> Any:
    """Give a person with a name, a secret, friends, and a map of friends."""
    file = FileDescriptorProto(name="people.proto", package="people", syntax="proto3")
    message = file.message_type.add(name="Person")
    message.field.append(field("name", 1))
    message.field.append(field("secret", 2, marked=True))
    message.field.append(field("friends", 3, kind=".people.Person", many=True))
    message.field.append(field("by_name", 4, kind=".people.Person.ByNameEntry", many=True))
    message.field.append(field("secrets", 5, marked=True, many=True))
    entry = message.nested_type.add(name="ByNameEntry")
    entry.options.map_entry = True
    entry.field.append(field("key", 1))
    entry.field.append(field("value", 2, kind=".people.Person"))
    open_ = file.message_type.add(name="Open")
    open_.field.append(field("name", 1))
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("people.Person"))


def test_marked_fields_are_hidden_however_deep_they_are(person: Any) -> None:
    one = person(name="ann", secret=SECRET, secrets=[SECRET])
    whole = person(name="bob", friends=[one, one], by_name={"ann": one})
    friend = {"name": "ann", "secret": HIDDEN}
    assert shown(whole) == {"name": "bob", "friends": [friend, friend], "by_name": {"ann": friend}}
    assert one.secret == SECRET, "the message itself is as it was"


def test_a_type_without_marks_is_shown_as_it_is(person: Any) -> None:
    open_ = GetMessageClass(person.DESCRIPTOR.file.message_types_by_name["Open"])
    assert has_marks(person.DESCRIPTOR)
    assert not has_marks(open_.DESCRIPTOR)
    assert shown(open_(name="ann")) == {"name": "ann"}


def test_what_is_no_text_keeps_its_kind_and_bytes_are_only_counted() -> None:
    assert shown([1, 2.5, True, None, b"abc"]) == [1, 2.5, True, None, "3 bytes"]
    assert shown({"error": ValueError(f"redis://:{SECRET}@cache")}) == {
        "error": f"ValueError('redis://:{HIDDEN}@cache')"
    }
