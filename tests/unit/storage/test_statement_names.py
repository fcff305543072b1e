"""Whose statement a server tells of: every text that the platform makes is known again."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from entresol.codegen.protos import compile_protos
from entresol.schema.filters import parse
from entresol.schema.load import load
from entresol.schema.model import Model, Resource
from entresol.schema.orders import parse_order
from entresol.storage.rows import RowCodec
from entresol.storage.sql import TableSql
from entresol.storage.sql_page import ListQuery, select_page
from entresol.storage.statement_names import OWN_SQL, PLATFORM, StatementName, StatementNames, normalized

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def model() -> Model:
    return load(compile_protos(ROOT / "protos"))


@pytest.fixture(scope="module")
def names(model: Model) -> StatementNames:
    return StatementNames(model)


CONSTANT = re.compile(
    r"'[^']*'|(?<![\w$.])\d+(?![\w.])|(?<!IS )(?<!NOT )\b(?:NULL|true|false)\b|(?<=extract\()\w+"
)


def as_counted(text: str) -> str:
    """Return a text as pg_stat_statements keeps it: constants are parameters behind those that it has."""
    parts = re.split(r"(--[^\n]*)", text)
    return "".join(part if part.startswith("--") else CONSTANT.sub("$9", part) for part in parts)


def texts(resource: Resource) -> dict[str, list[str]]:
    table = TableSql(RowCodec(resource))
    page = ListQuery(order=parse_order("", resource), limit=10)
    made = {
        "get": [table.select_by_names(["a", "b"]).text, table.read_by_names(["a"]).text],
        "lock": [table.lock("a").text, table.lock_key("a").text, table.hold_key("a").text],
        "list": [select_page(table, page).text],
        "insert": [table.insert],
        "update": [table.update("a", 1, [], []).text, table.update("a", None, [], [], waits=False).text],
        "delete": [table.delete("a", 3).text],
    }
    if resource.soft_delete:
        made["delete"].append(table.soft_delete("a", 3, 60.0).text)
        made["undelete"] = [table.undelete("a", 3).text]
    return made


def test_statements_over_resources_are_known_again(model: Model, names: StatementNames) -> None:
    checked = 0
    for resource in model.resources.values():
        for operation, listed in texts(resource).items():
            for text in (*listed, *map(as_counted, listed)):
                if resource.events and operation in ("update", "delete"):
                    continue
                assert names.name_of(text) == StatementName(resource.type, operation), text
                checked += 1
    assert checked > 100


def test_a_filter_does_not_change_whose_page_it_is(model: Model, names: StatementNames) -> None:
    story = model.by_message["stories.v1.Story"]
    query = ListQuery(filter=parse('score > 3 AND title = "FROM users"', story), limit=10)
    text = select_page(TableSql(RowCodec(story)), query).text
    assert names.name_of(as_counted(text)) == StatementName(story.type, "list")


def test_every_statement_of_the_platform_s_own_is_known_again(names: StatementNames) -> None:
    folder = Path(str(files("entresol.storage") / "queries"))
    shapes: dict[str, str] = {}
    for path in sorted(folder.rglob("*.sql")):
        text = path.read_text()
        name = str(path.relative_to(folder)).removesuffix(".sql")
        assert shapes.setdefault(normalized(text), name) == name, "two files say the same"
        assert names.name_of(as_counted(text)) == StatementName(PLATFORM, name)
    assert len(shapes) > 80


def test_others_sql_over_a_resource_is_told_as_such(model: Model, names: StatementNames) -> None:
    story = model.by_message["stories.v1.Story"]
    assert names.name_of("SELECT count(*) FROM public.stories WHERE score > $1") == StatementName(
        story.type, OWN_SQL
    )
    assert names.name_of("SELECT count(*) FROM stories") == StatementName(story.type, OWN_SQL)
    assert names.name_of("VACUUM FULL") == StatementName("", OWN_SQL)
    assert names.name_of("DELETE FROM entresol.requests WHERE expire_time < now()") == StatementName(
        PLATFORM, "requests"
    )
