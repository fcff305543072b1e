"""A filter's tree to a condition of WHERE: every value a parameter, and NULL never mistaken for true (AIP-160)."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from entresol.schema.filter_ast import (
    And,
    Compare,
    FieldPath,
    Filter,
    Has,
    Like,
    Not,
    Operator,
    Or,
    Present,
    Search,
    Value,
)
from entresol.schema.model import Field, Kind
from entresol.storage.identifiers import quote

_SQL_OPERATORS = {operator: operator.value for operator in Operator} | {Operator.NOT_EQUAL: "<>"}
_ORDERED = frozenset({Operator.LESS, Operator.LESS_EQUAL, Operator.GREATER, Operator.GREATER_EQUAL})
# What a leaf of jsonb, which is text at first, is cast to. Text and enum names stay what they are.
_CASTS = {
    Kind.BOOL: "boolean",
    Kind.FLOAT: "real",
    Kind.DOUBLE: "double precision",
    Kind.TIMESTAMP: "timestamptz",
    Kind.DURATION: "interval",
}
_JSON_TYPES = {Kind.STRING: "string", Kind.DOUBLE: "number", Kind.BOOL: "boolean"}


@dataclass(slots=True)
class Parameters:
    """The values of one statement, in the order of their numbers."""

    _values: list[object] = field(default_factory=list)

    def add(self, value: object) -> str:
        """Return the placeholder of a new value."""
        self._values.append(value)
        return f"${len(self._values)}"

    def values(self) -> tuple[object, ...]:
        """Return the values so far."""
        return tuple(self._values)


def condition_of(filter_: Filter, parameters: Parameters) -> str:
    """Return the condition that is true for exactly the rows that `filter_` matches; for others it is false or NULL."""
    return _Compiler(parameters).condition(filter_, "")


@dataclass(slots=True)
class _Compiler:
    """`element` is the SQL of the element of the innermost enclosing `Has`; "" outside of any."""

    parameters: Parameters
    _elements: int = 0

    def condition(self, node: Filter, element: str) -> str:
        match node:
            case And(terms):
                return _joined(" AND ", [self.condition(term, element) for term in terms])
            case Or(terms):
                return _joined(" OR ", [self.condition(term, element) for term in terms])
            case Not(term):
                return f"NOT coalesce({self.condition(term, element)}, false)"
            case Compare(path, comparison, value):
                return self._compare(path, comparison, value, element)
            case Like(path, pattern, negated):
                operator = "NOT LIKE" if negated else "LIKE"
                return f"{self._value(path, element)} {operator} {self.parameters.add(pattern)}"
            case Present(path):
                return self._present(path, element)
            case Has(path, inner):
                return self._has(path, inner, element)
            case Search(text, fields):
                return self._search(text, fields)

    def _compare(self, path: FieldPath, operator: Operator, value: Value, element: str) -> str:
        plain = operator is Operator.EQUAL and value != path.absent
        left = self._leaf(path, element) if plain else self._value(path, element)
        # Byte order, whatever the database's collation: it is the order of code points.
        collation = ' COLLATE "C"' if path.kind is Kind.STRING and operator in _ORDERED else ""
        return f"{left}{collation} {_SQL_OPERATORS[operator]} {self._parameter(path, value)}"

    def _value(self, path: FieldPath, element: str) -> str:
        """Return the SQL of what stands at `path`, NULL where the path leads nowhere, `absent` where it does."""
        leaf = self._leaf(path, element)
        if path.absent is None or (not path.steps and not _nullable(path.field)):
            return leaf
        present = f"coalesce({leaf}, {self._parameter(path, path.absent)})"
        if not path.steps:
            return present
        return f"CASE WHEN {self._json(path, element, path.steps[:-1])} IS NOT NULL THEN {present} END"

    def _leaf(self, path: FieldPath, element: str) -> str:
        """Return the SQL of what stands at `path`, as the type it is compared in; NULL when there is nothing."""
        if not path.in_json:
            return _base(path, element)
        text = f"({_base(path, element)} #>> {self._steps(path.steps)})"
        if path.kind is Kind.BYTES:
            return f"decode({text}, 'base64')"
        typed = f"{text}{_cast(path)}"
        if not path.dynamic:
            return typed
        kind = f"jsonb_typeof({self._json(path, element, path.steps)}) = '{_JSON_TYPES[path.kind]}'"
        return f"CASE WHEN {kind} THEN {typed} END"

    def _json(self, path: FieldPath, element: str, steps: tuple[str, ...]) -> str:
        base = _base(path, element)
        return f"({base} #> {self._steps(steps)})" if steps else base

    def _steps(self, steps: tuple[str, ...]) -> str:
        return f"{self.parameters.add(list(steps))}::text[]"

    def _parameter(self, path: FieldPath, value: Value) -> str:
        if path.kind is Kind.INT and path.bits == 64 and not path.signed and isinstance(value, int):
            return f"{self.parameters.add(Decimal(value))}{_cast(path) if path.in_json else ''}"
        return f"{self.parameters.add(value)}{_cast(path) if path.in_json else ''}"

    def _present(self, path: FieldPath, element: str) -> str:
        if path.repeated and not path.in_json:
            return f"cardinality({_base(path, element)}) > 0"
        if path.repeated:
            return f"{self._json(path, element, path.steps)} <> '[]'"
        if path.kind is Kind.MAP:
            return f"{self._json(path, element, path.steps)} <> '{{}}'"
        if path.map_key or path.absent is None:
            # The text of a leaf is NULL for JSON's null too.
            leaf = (
                f"({_base(path, element)} #>> {self._steps(path.steps)})"
                if path.in_json
                else _base(path, element)
            )
            return f"{leaf} IS NOT NULL"
        return self._compare(path, Operator.NOT_EQUAL, path.absent, element)

    def _has(self, path: FieldPath, inner: Filter, element: str) -> str:
        if not path.in_json and isinstance(inner, Compare) and inner.operator is Operator.EQUAL:
            return f"{self._parameter(inner.path, inner.value)} = ANY({_base(path, element)})"
        self._elements += 1
        name = f"e{self._elements}"
        if path.in_json:
            array = self._json(path, element, path.steps)
            # What is no array, as a Struct may hold, has no elements.
            rows = f"jsonb_array_elements(CASE WHEN jsonb_typeof({array}) = 'array' THEN {array} END)"
        else:
            rows = f"unnest({_base(path, element)})"
        return f"EXISTS (SELECT FROM {rows} AS {name}(v) WHERE {self.condition(inner, f'{name}.v')})"

    def _search(self, text: str, fields: tuple[Field, ...]) -> str:
        pattern = self.parameters.add(f"%{escape_like(text)}%")
        return _joined(" OR ", [self._found(item, pattern) for item in fields])

    def _found(self, item: Field, pattern: str) -> str:
        column = _column(item)
        if item.repeated:
            return f"EXISTS (SELECT FROM unnest({column}) AS e(v) WHERE e.v ILIKE {pattern})"
        return f"{column} ILIKE {pattern}"


def escape_like(text: str) -> str:
    r"""Return the pattern of LIKE that matches `text` alone."""
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")


def _joined(operator: str, conditions: list[str]) -> str:
    return f"({operator.join(conditions)})"


def _base(path: FieldPath, element: str) -> str:
    return _column(path.field) if path.field is not None else element


def _column(item: Field) -> str:
    assert item.column is not None, f"{item.name} has no column"
    return quote(item.column.name)


def _nullable(item: Field | None) -> bool:
    return item is not None and item.column is not None and item.column.nullable


def _cast(path: FieldPath) -> str:
    if path.kind is Kind.INT:
        return "::bigint" if path.signed or path.bits < 64 else "::numeric"
    return f"::{_CASTS[path.kind]}" if path.kind in _CASTS else ""
