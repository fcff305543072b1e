"""The grammar of filters (AIP-160) by recursive descent: text to a tree that knows nothing of fields.

expression  = sequence { AND sequence }
sequence    = factor { factor }                 white space is a weaker AND
factor      = term { OR term }                  OR binds tighter than AND
term        = [ NOT | "-" ] simple
simple      = restriction | "(" expression ")"
restriction = member [ comparator value ]
member      = name { "." name }
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from entresol.schema.filter_lexer import Token, Word, fault, tokens

LENGTH_MAX = 4096
DEPTH_MAX = 16
CLAUSES_MAX = 64
_KEYWORDS = frozenset({"AND", "OR", "NOT"})
_SHOWN_MAX = 40


@dataclass(frozen=True, slots=True)
class Restriction:
    """A member, compared with a value; or, without operator, a bare word to search for."""

    names: tuple[Token, ...]
    operator: str | None = None
    value: Token | None = None


@dataclass(frozen=True, slots=True)
class All:
    """Terms joined by AND or by white space."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Terms joined by OR."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """A term behind NOT or `-`."""

    term: Node


Node: TypeAlias = Restriction | All | Either | Negation


def parse_syntax(text: str) -> Node | None:
    """Return the tree of a filter, None for one of nothing but white space.

    Raises:
        InvalidArgumentError: the text is no filter, or exceeds a limit; position and expectation are named.
    """
    if len(text) > LENGTH_MAX:
        raise fault(LENGTH_MAX + 1, f"a filter has at most {LENGTH_MAX} characters", "FILTER_TOO_LONG")
    return _Parser(list(tokens(text))).parse()


def shown(token: Token) -> str:
    """Return a token as errors quote it, cut to a readable length."""
    if token.word is Word.END:
        return "the end"
    text = token.text if len(token.text) <= _SHOWN_MAX else token.text[:_SHOWN_MAX] + "..."
    return repr(text)


class _Parser:
    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._at = 0
        self._next = words[0]
        self._depth = 0
        self._clauses = 0

    def _is(self, *words: Word) -> bool:
        return self._next.word in words

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        self._next = self._words[self._at]
        return token

    def _is_mark(self, text: str) -> bool:
        return self._is(Word.MARK) and self._next.text == text

    def _is_keyword(self, text: str) -> bool:
        return self._is(Word.TEXT) and self._next.text == text

    def parse(self) -> Node | None:
        if self._is(Word.END):
            return None
        node = self._expression()
        if not self._is(Word.END):
            raise self._unexpected("AND, OR, another term or the end")
        return node

    def _expression(self) -> Node:
        return _join(All, self._separated("AND", self._sequence))

    def _factor(self) -> Node:
        return _join(Either, self._separated("OR", self._term))

    def _separated(self, keyword: str, part: Callable[[], Node]) -> list[Node]:
        parts = [part()]
        while self._is_keyword(keyword):
            self._take_keyword()
            parts.append(part())
        return parts

    def _take_keyword(self) -> None:
        keyword = self._take()
        if not self._is(Word.END) and not (keyword.spaced and self._next.spaced):
            raise fault(keyword.position, f"{keyword.text} needs white space on both sides")

    def _sequence(self) -> Node:
        factors = [self._factor()]
        while self._starts_factor():
            if not self._next.spaced:
                raise self._unexpected("white space, AND or OR")
            factors.append(self._factor())
        return _join(All, factors)

    def _starts_factor(self) -> bool:
        if self._is(Word.TEXT):
            return self._next.text not in ("AND", "OR")
        return self._is(Word.STRING) or self._is_mark("(") or self._is_mark("-")

    def _term(self) -> Node:
        if self._is_keyword("NOT"):
            return self._negation(spaced=True, wrong="NOT needs white space behind it")
        if self._is_mark("-"):
            return self._negation(spaced=False, wrong="`-` stands directly before what it negates")
        return self._simple()

    def _negation(self, *, spaced: bool, wrong: str) -> Node:
        sign = self._take()
        if not self._is(Word.END) and self._next.spaced is not spaced:
            raise fault(sign.position, wrong)
        return Negation(self._simple())

    def _simple(self) -> Node:
        return self._composite() if self._is_mark("(") else self._restriction()

    def _composite(self) -> Node:
        opening = self._take()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise fault(opening.position, f"parentheses nest at most {DEPTH_MAX} deep", "FILTER_TOO_DEEP")
        node = self._expression()
        if not self._is_mark(")"):
            raise self._unexpected(f"the ) that closes the ( at position {opening.position}")
        self._take()
        self._depth -= 1
        return node

    def _restriction(self) -> Restriction:
        self._count(self._next)
        names = self._member()
        if not self._is(Word.COMPARATOR):
            return Restriction(names)
        operator = self._take().text
        return Restriction(names, operator, self._value(operator))

    def _count(self, token: Token) -> None:
        self._clauses += 1
        if self._clauses > CLAUSES_MAX:
            text = f"a filter has at most {CLAUSES_MAX} clauses"
            raise fault(token.position, text, "FILTER_TOO_MANY_CLAUSES")

    def _member(self) -> tuple[Token, ...]:
        names = [self._first_name()]
        while self._is_mark(".") and not self._next.spaced:
            self._take()
            if not self._is(Word.TEXT, Word.STRING) or self._next.spaced:
                raise self._unexpected("a field's name after the dot")
            names.append(self._take())
        self._refuse_function(names[-1])
        return tuple(names)

    def _first_name(self) -> Token:
        if not self._is(Word.TEXT, Word.STRING):
            raise self._unexpected("a field's name, a word or (")
        if self._is(Word.TEXT) and self._next.text in _KEYWORDS:
            word = self._next.text
            raise self._unexpected(f'a field\'s name or a word; in quotes, "{word}" can be one')
        return self._take()

    def _value(self, operator: str) -> Token:
        if self._is_mark("("):
            raise fault(self._next.position, "a value in parentheses is not known; join comparisons with OR")
        if not self._is(Word.TEXT, Word.STRING):
            raise self._unexpected(f"a value after {operator}")
        if self._is(Word.TEXT) and self._next.text in _KEYWORDS:
            raise self._unexpected(f'a value after {operator}; in quotes, "{self._next.text}" can be one')
        value = self._take()
        self._refuse_function(value)
        if self._is(Word.COMPARATOR) or (self._is(Word.MARK) and self._next.text in ".,-"):
            raise self._unexpected("the end of the value; put values with such characters in quotes")
        return value

    def _refuse_function(self, name: Token) -> None:
        if self._is_mark("(") and not self._next.spaced:
            raise fault(name.position, f"there are no functions; {shown(name)} cannot be called")

    def _unexpected(self, expected: str) -> Exception:
        return fault(self._next.position, f"expected {expected}, found {shown(self._next)}")


def _join(kind: type[All | Either], terms: list[Node]) -> Node:
    """Return the one term as it is, or several as one node; nested nodes of the same kind are merged."""
    if len(terms) == 1:
        return terms[0]
    merged: list[Node] = []
    for term in terms:
        merged.extend(term.terms if isinstance(term, kind) else (term,))
    return kind(tuple(merged))
