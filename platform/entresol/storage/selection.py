"""Which records a deletion by filter means, and the statements that take them by name, or count them."""
# ruff: noqa: S608 - values are parameters always, and identifiers are quoted

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from entresol.errors import InvalidArgumentError
from entresol.schema.filter_ast import Filter
from entresol.schema.filters import parse
from entresol.schema.model import Resource, Role
from entresol.schema.names import Pattern
from entresol.storage.sql import Statement, TableSql, column_of
from entresol.storage.sql_filter import Parameters, condition_of


@dataclass(frozen=True, slots=True)
class Selection:
    """Records that are not marked as deleted; with `expired`, those that are, and whose retention has passed."""

    filter: Filter | None = None
    parent: str = ""
    expired: bool = False

    @classmethod
    def of(cls, resource: Resource, text: str, parent: str = "", *, expired: bool = False) -> Self:
        """Return the selection of an AIP-160 filter.

        Raises:
            InvalidArgumentError: of the field `filter`, `parent` or `expired`. An empty filter is one, because a
                variable that was not set must not delete everything: `*` does.
        """
        if not text.strip():
            raise InvalidArgumentError.of("filter", "is empty; write `*` for every record")
        if parent:
            _check_parent(resource, parent)
        if expired and not resource.soft_delete:
            raise InvalidArgumentError.of(
                "expired", f"{resource.plural} are deleted at once and never marked; leave it out"
            )
        return cls(parse(text, resource), parent, expired)

    def take(self, table: TableSql, after: str, limit: int) -> Statement:
        """Return the names behind `after`, at most `limit`, locked.

        A row that another transaction changed meanwhile is looked at again once its lock is had, and left out when it
        no longer matches; the limit counts those that do.
        """
        parameters = Parameters()
        where = self._where(table, parameters)
        text = (
            f"SELECT name FROM {table.table} WHERE name > {parameters.add(after)}{where} "
            f"ORDER BY name LIMIT {parameters.add(limit)} FOR UPDATE"
        )
        return Statement(text, parameters.values())

    def first(self, table: TableSql, limit: int) -> Statement:
        """Return the names, at most `limit`, in their order."""
        parameters = Parameters()
        where = self._where(table, parameters)
        text = f"SELECT name FROM {table.table} WHERE true{where} ORDER BY name LIMIT {parameters.add(limit)}"
        return Statement(text, parameters.values())

    def count(self, table: TableSql) -> Statement:
        """Return how many there are."""
        parameters = Parameters()
        where = self._where(table, parameters)
        return Statement(f"SELECT count(*) FROM {table.table} WHERE true{where}", parameters.values())

    def _where(self, table: TableSql, parameters: Parameters) -> str:
        conditions = [self._life(table, parameters)] if table.resource.soft_delete else []
        if self.parent:
            conditions.append(f"parent = {parameters.add(self.parent)}")
        if self.filter is not None:
            conditions.append(condition_of(self.filter, parameters))
        return "".join(f" AND {condition}" for condition in conditions)

    def _life(self, table: TableSql, parameters: Parameters) -> str:
        by_role = table.resource.by_role
        deleted = column_of(by_role[Role.DELETE_TIME])
        if not self.expired:
            return f"{deleted} IS NULL"
        if Role.PURGE_TIME in by_role:
            return f"{column_of(by_role[Role.PURGE_TIME])} <= now()"
        retention = parameters.add(table.resource.soft_delete_retention_s or 0.0)
        return f"{deleted} <= now() - make_interval(secs => {retention})"


def _check_parent(resource: Resource, parent: str) -> None:
    patterns = ["/".join(pattern.parent_segments) for pattern in resource.patterns if pattern.parent_segments]
    if not patterns:
        raise InvalidArgumentError.of("parent", f"a {resource.singular} has no parent; leave it out")
    if not any(Pattern(pattern).parse(parent) for pattern in patterns):
        raise InvalidArgumentError.of("parent", f"{parent!r} does not match {' or '.join(patterns)}")
