r"""The words of a filter (AIP-160), each with its position.

Unquoted text ends at white space and at `( ) . , : = < > ! " '`, except right after a comparison, where
dots, a leading `-` and whole RFC 3339 timestamps belong to it: only so can `9.99`, `-30` and `1.5s` be
values. In quotes, `\` escapes: `\" \' \\ \n \r \t \uXXXX`, and `\*` for a star that is no wildcard.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from entresol.errors import InvalidArgumentError

WILDCARD = "*"

_TEXT = r"""(?!-)(?:[^\s\x00-\x1f().,:=<>!"'\\]|!(?!=))+"""
_QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
_TIMESTAMP = (
    r"[0-9]{4}(?:-[0-9]{2}){2}[Tt][0-9]{2}(?::[0-9]{2}){2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_COMPARATOR = r"<=|>=|!=|<|>|=|:"
_SPACE = re.compile(r"\s*")
_WORD = re.compile(
    rf"(?P<TEXT>{_TEXT})|(?P<STRING>{_QUOTED})|(?P<COMPARATOR>{_COMPARATOR})|(?P<MARK>[().,-])", re.DOTALL
)
_VALUE = re.compile(rf"(?P<TEXT>{_TIMESTAMP}|-?{_TEXT}(?:\.{_TEXT})*)|(?P<STRING>{_QUOTED})", re.DOTALL)
# PostgreSQL holds no U+0000, UTF-8 no surrogates.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_PIECE = re.compile(r"\\u([0-9a-fA-F]{4})|\\(.)|(\*)|[^\\*]+", re.DOTALL)
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "*": "*", "n": "\n", "r": "\r", "t": "\t"}


class Word(enum.Enum):
    """What a token is."""

    TEXT = "text"
    STRING = "a quoted string"
    COMPARATOR = "a comparison"
    MARK = "a mark"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `position` counts characters from 1; `spaced` says that white space stands before it.

    `parts` are the pieces between wildcards, escapes resolved: one piece means no wildcard.
    """

    word: Word
    text: str
    position: int
    spaced: bool
    parts: tuple[str, ...] = ()

    @property
    def quoted(self) -> bool:
        """Whether it was written in quotes."""
        return self.word is Word.STRING


def fault(position: int, description: str, reason: str = "INVALID_FILTER") -> InvalidArgumentError:
    """Build the error of a filter that is wrong at `position`."""
    return InvalidArgumentError.of("filter", f"at position {position}: {description}", reason)


def tokens(text: str) -> Iterator[Token]:
    """Yield the words of a filter and at last END.

    Raises:
        InvalidArgumentError: a character that starts no word, a string without end, an unknown escape.
    """
    if (match := _UNSTORABLE.search(text)) is not None:
        raise _unstorable(ord(match[0]), match.start() + 1)
    at, after_comparator = 0, False
    while True:
        start = _skip_space(text, at)
        if start == len(text):
            yield Token(Word.END, "", start + 1, spaced=start > at)
            return
        match = (_VALUE.match(text, start) if after_comparator else None) or _WORD.match(text, start)
        if match is None:
            raise _unreadable(text, start)
        token = _token(match, spaced=start > at)
        yield token
        at, after_comparator = match.end(), token.word is Word.COMPARATOR


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match is not None else at


def _token(match: re.Match[str], *, spaced: bool) -> Token:
    word = Word[str(match.lastgroup)]
    position = match.start() + 1
    if word is Word.STRING:
        parts = _unescape(match[0][1:-1], position + 1)
        return Token(word, WILDCARD.join(parts), position, spaced, parts)
    parts = tuple(match[0].split(WILDCARD)) if word is Word.TEXT else ()
    return Token(word, match[0], position, spaced, parts)


def _unescape(content: str, position: int) -> tuple[str, ...]:
    parts = [""]
    for piece in _PIECE.finditer(content):
        if piece[3]:
            parts.append("")
        else:
            parts[-1] += _character(piece, position + piece.start())
    return tuple(parts)


def _character(piece: re.Match[str], position: int) -> str:
    if piece[1]:
        return _code_point(int(piece[1], 16), position)
    if piece[2] is None:
        return piece[0]
    if piece[2] not in _ESCAPES:
        raise fault(position, rf"unknown escape {piece[0]!r}; known are \" \' \\ \* \n \r \t and \uXXXX")
    return _ESCAPES[piece[2]]


def _code_point(number: int, position: int) -> str:
    if _UNSTORABLE.match(chr(number)):
        raise _unstorable(number, position)
    return chr(number)


def _unstorable(number: int, position: int) -> InvalidArgumentError:
    return fault(position, f"U+{number:04X} cannot occur in stored text")


def _unreadable(text: str, start: int) -> InvalidArgumentError:
    if text[start] in "\"'":
        return fault(start + 1, f"the string that begins here has no closing {text[start]}")
    return fault(start + 1, f"unexpected character {text[start]!r}; put text that holds it in quotes")
