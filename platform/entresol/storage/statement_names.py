"""SQL TEXT -> RESOURCE, OPERATION: whose statement a server tells of, by the texts that the platform makes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from entresol.schema.model import Model, Role
from entresol.storage import sql
from entresol.storage.identifiers import full_name, quote
from entresol.storage.sql import POSITION, column_of

PLATFORM = "entresol"  # whose own statements these are: of the queue, of schedules, of replicas
OWN_SQL = "sql"  # the operation of what the platform did not write
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
# What pg_stat_statements makes a parameter of, and parameters: also the field of EXTRACT.
_VALUE = re.compile(
    r"\$\d+|'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b|\b(?:true|false|null)\b|(?<=extract\()\w+", re.IGNORECASE
)
_NAME = r'(?:"[^"]+"|\w+)'
_TARGET = re.compile(
    rf"\b(?:FROM|JOIN|INTO|UPDATE|COPY)\s+(?:ONLY\s+)?({_NAME}\.{_NAME}|{_NAME})", re.IGNORECASE
)
_LOCK = re.compile(r" FOR (?:NO KEY UPDATE|UPDATE|KEY SHARE)\b")
_PARTITION = re.compile(r"_(\d{8}|other)$")
_CONSTANTS = {
    "requests/claim": sql.CLAIM_REQUEST,
    "requests/read": sql.READ_REQUEST,
    "requests/finish": sql.FINISH_REQUEST,
    "requests/keep": sql.KEEP_REQUESTS,
    "replicas/poll": sql.REPLICA_STATE,
    "replicas/position": sql.REPLAYED,
    "transactions/position": sql.AFTER_COMMIT,
}


@dataclass(frozen=True, slots=True)
class StatementName:
    """The words by which telemetry knows it, too. `resource` is a type, `entresol`, or empty for a stranger's."""

    resource: str
    operation: str


class StatementNames:
    """Knows every text that the platform makes for the resources of one model."""

    def __init__(self, model: Model) -> None:
        self._tables = {full_name(resource.table): resource for resource in model.resources.values()}
        self._own = {normalized(text): name for name, text in _own_texts()}

    def name_of(self, text: str) -> StatementName:
        """Return whose statement this is; constants may have become parameters, as pg_stat_statements keeps it."""
        shape = normalized(text)
        if shape in self._own:
            return StatementName(PLATFORM, self._own[shape])
        for target in _TARGET.findall(shape):
            table = full_name(target.replace('"', ""))
            resource = self._tables.get(table) or self._tables.get(_PARTITION.sub("", table))
            if resource is not None:
                deleted = resource.by_role.get(Role.DELETE_TIME)
                column = column_of(deleted) if deleted is not None and deleted.column else ""
                return StatementName(resource.type, _operation(shape, column))
            if table.startswith(f"{PLATFORM}."):
                return StatementName(PLATFORM, table.partition(".")[2])
        return StatementName("", OWN_SQL)


def normalized(text: str) -> str:
    """Return a text without comments, values and the layout of its lines."""
    return " ".join(_VALUE.sub("?", _COMMENT.sub(" ", text)).split()).rstrip("; ")


def _operation(shape: str, deleted: str) -> str:
    verb = shape.partition(" ")[0].upper()
    if verb == "COPY":
        return "copy"
    if verb == "SELECT" and _LOCK.search(shape):
        return "lock"
    if quote("row_version") not in shape and POSITION not in shape:
        return OWN_SQL
    if verb == "SELECT":
        return "list" if " ORDER BY " in shape and " LIMIT " in shape else "get"
    if verb == "UPDATE" and deleted and f"{deleted} = ?" in shape:
        return "undelete"
    if verb == "UPDATE" and deleted and f"{deleted} = now()" in shape:
        return "delete"
    return {"INSERT": "insert", "UPDATE": "update", "DELETE": "delete"}.get(verb, OWN_SQL)


def _own_texts() -> Iterator[tuple[str, str]]:
    yield from _CONSTANTS.items()
    yield from _read(files("entresol.storage") / "queries", "")


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda one: one.name):
        if item.is_dir():
            yield from _read(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".sql"):
            yield prefix + item.name.removesuffix(".sql"), item.read_text(encoding="utf-8")
