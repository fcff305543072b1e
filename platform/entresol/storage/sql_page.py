"""The statement of one page of a List: keyset paging over any order, NULL counted as the largest value.

That is how PostgreSQL orders by default, so a plain index serves both directions.
"""
# ruff: noqa: S608 - values are parameters always, and identifiers are quoted

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from entresol.schema.filter_ast import Filter
from entresol.schema.model import Role
from entresol.schema.orders import OrderTerm
from entresol.storage.connections import Record
from entresol.storage.row_values import encoder
from entresol.storage.sql import Statement, TableSql, column_of, name_of
from entresol.storage.sql_filter import Parameters, condition_of


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a page is made of: what comes `after` the values of `order` in the last row before it, less `skip` rows."""

    parent: str | None = None
    filter: Filter | None = None
    order: tuple[OrderTerm, ...] = ()
    after: tuple[object, ...] | None = None
    limit: int = 50
    skip: int = 0
    show_deleted: bool = False


def order_of(table: TableSql, query: ListQuery) -> tuple[OrderTerm, ...]:
    """Return the order of the page, total in any case: by name when the query has none."""
    return query.order or (OrderTerm(table.resource.by_role[Role.NAME], descending=False),)


def select_page(table: TableSql, query: ListQuery) -> Statement:
    """Return the rows of one page and, to tell whether there are more, one row beyond it."""
    order = order_of(table, query)
    parameters = Parameters()
    conditions = [*_scope(table, query, parameters)]
    if query.filter is not None:
        conditions.append(condition_of(query.filter, parameters))
    if query.after is not None:
        conditions.append(_after(order, query.after, parameters))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    by = ", ".join(f"{column_of(term.field)}{' DESC' if term.descending else ''}" for term in order)
    text = f"SELECT {table.columns} FROM {table.table}{where} ORDER BY {by} LIMIT {parameters.add(query.limit + 1)}"
    if query.skip:
        text += f" OFFSET {parameters.add(query.skip)}"
    return Statement(text, parameters.values())


def _scope(table: TableSql, query: ListQuery, parameters: Parameters) -> list[str]:
    conditions = []
    if query.parent is not None:
        conditions.append(f"parent = {parameters.add(query.parent)}")
    deleted = table.resource.by_role.get(Role.DELETE_TIME)
    if table.resource.soft_delete and deleted is not None and not query.show_deleted:
        conditions.append(f"{column_of(deleted)} IS NULL")
    return conditions


def _after(order: Sequence[OrderTerm], values: Sequence[object], parameters: Parameters) -> str:
    """Return the condition of the rows that come after `values`.

    `(a, b) > (x, y)` knows but one direction, so it is written out. The bound on the leading column, which the rest
    implies, is what lets an index start at the right place.
    """
    marks = [
        None if value is None else parameters.add(_encoded(term, value))
        for term, value in zip(order, values, strict=True)
    ]
    pairs = list(zip(order, marks, strict=True))
    condition = _later(*pairs[-1])
    for term, mark in reversed(pairs[:-1]):
        condition = f"({_later(term, mark)} OR ({_equal(term, mark)} AND {condition}))"
    bound = _bound(*pairs[0]) if len(pairs) > 1 else ""
    return f"{bound} AND {condition}" if bound else condition


def _later(term: OrderTerm, mark: str | None) -> str:
    """Return the condition of the values behind the one that `mark` stands for; None stands for NULL, the largest."""
    column = column_of(term.field)
    if mark is None:
        return f"{column} IS NOT NULL" if term.descending else "false"
    beyond = f"{column} {'<' if term.descending else '>'} {mark}"
    return f"({beyond} OR {column} IS NULL)" if _nullable(term) and not term.descending else beyond


def _equal(term: OrderTerm, mark: str | None) -> str:
    return f"{column_of(term.field)} {f'= {mark}' if mark else 'IS NULL'}"


def _bound(term: OrderTerm, mark: str | None) -> str:
    if mark is None or (_nullable(term) and not term.descending):
        return ""
    return f"{column_of(term.field)} {'<=' if term.descending else '>='} {mark}"


def _encoded(term: OrderTerm, value: object) -> object:
    # Page tokens hold what the driver returned, save for the one type they do not know.
    wide = term.field.bits == 64 and not term.field.signed
    encode = encoder(term.field) if wide else None
    return encode(value) if encode else value


def _nullable(term: OrderTerm) -> bool:
    return term.field.column is not None and term.field.column.nullable


def last_values(table: TableSql, query: ListQuery, record: Record) -> tuple[object, ...]:
    """Return the values of the order in `record`, from which the next page goes on."""
    return tuple(_plain(record[name_of(term.field)]) for term in order_of(table, query))


def _plain(value: object) -> object:
    return int(value) if isinstance(value, Decimal) else value
