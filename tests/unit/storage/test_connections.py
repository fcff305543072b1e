"""Where a URL leads."""

from __future__ import annotations

import pytest

from entresol.errors import ConfigurationError
from entresol.storage.connections import Address, addresses


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://localhost/x", ["localhost:5432"]),
        ("postgres://ann:p%40ss@db.example.com:6432/x", ["db.example.com:6432"]),
        ("postgresql:///x", ["localhost:5432"]),
        ("postgresql://a:1,b,c:3/x", ["a:1", "b:5432", "c:3"]),
        ("postgresql://[::1]:6432,[::2]/x", ["[::1]:6432", "[::2]:5432"]),
        ("postgresql://ann@/x?host=/run/one,/run/two&port=1,2", ["one:1", "two:2"]),
        ("postgresql://ann@/x?host=%2Frun%2Fone&port=6000", ["one:6000"]),
        ("postgresql://%2Frun%2Fone:7/x", ["one:7"]),
        ("postgresql://ann@/x?host=a,b&port=7", ["a:7", "b:7"]),
    ],
)
def test_a_url_lists_servers(url: str, expected: list[str]) -> None:
    assert [str(address) for address in addresses(url)] == expected


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "mysql://localhost/x", "postgresql://a:x/y", "postgresql://a,b/x?host=a,b&port=1,2,3"],
)
def test_what_is_no_url_of_a_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        addresses(url)


def test_callers_are_not_shown_the_folder_of_a_socket() -> None:
    assert str(Address("/var/lib/secret/replica-1/", 5432)) == "replica-1:5432"
