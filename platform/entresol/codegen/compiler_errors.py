"""What protoc says, as mistakes: each at the line of the word that is wrong, with the nearest one that there is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from entresol.errors import Mistake
from entresol.schema.source import Source, file_of

RULE = "protoc"
_FEW = 20
_MESSAGE = re.compile(r"(?P<file>[^:\n]+\.proto):(?:(?P<line>\d+):(?:\d+):)? *(?P<text>.+)")
_OPTION = re.compile(r'Option "\(\.?(?P<name>[\w.]+)\)(?P<path>[\w.()]*)" unknown\.')
_FIELD = re.compile(r'Message type "(?P<message>[\w.]+)" has no field named "(?P<word>\w+)"')
_VALUE_OF_FIELD = re.compile(r'Unknown enumeration value of "(?P<word>\w+)" for field "(?P<field>\w+)"')
_VALUE = re.compile(r'Enum type "(?P<enum>[\w.]+)" has no value named "(?P<word>\w+)"')


def read_errors(stderr: str, root: Path, known: Callable[[], Source]) -> Iterator[Mistake]:
    """Read protoc's `file:line:column: text`; what has another form, or names nothing of ours, is kept as it is.

    Files are named from `root`, as the loader names them. `known` has the options that there are, and is asked for
    only if one is missed. Protoc stops at the first word of an option that it does not know.
    """
    names: _Names | None = None
    for row in filter(None, map(str.strip, stderr.splitlines())):
        found = _MESSAGE.match(row)
        if found is None:
            yield Mistake(RULE, 1, RULE, "", row)
            continue
        text = found["text"]
        if text.startswith("warning:"):
            continue
        file, line = found["file"].removeprefix(f"{root}/"), int(found["line"] or 1)
        if any(form.search(text) for form in (_OPTION, _FIELD, _VALUE_OF_FIELD, _VALUE)):
            names = names or _Names(known())
            word, problem, remedy = names.explain(text)
            yield Mistake(file, _line_of(word, root / file, line), RULE, word, problem, remedy)
        else:
            yield Mistake(file, line, RULE, "", text)


def _line_of(word: str, file: Path, line: int) -> int:
    """Return the first line from this one on that has the word: protoc names the line where its option begins."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    return next(
        (number for number, text in enumerate(lines, 1) if number >= line and whole.search(text)), line
    )


class _Names:
    """The options, fields and values that there are."""

    def __init__(self, known: Source) -> None:
        self._pool = known.pool
        self._options = {
            option.full_name: option for file in known.files for option in file.extensions_by_name.values()
        }
        messages = (message for file in known.files for message in file.message_types_by_name.values())
        self._fields = list(chain.from_iterable(map(_fields, messages)))

    def explain(self, text: str) -> tuple[str, str, str]:
        """Return the word that protoc did not know, what is wrong with it, and the remedy."""
        if found := _OPTION.search(text):
            return self._option(found["name"], found["path"])
        if found := _FIELD.search(text):
            return found["word"], *self._field(found["word"], self._find(found["message"]), found["message"])
        if found := _VALUE.search(text):
            enum = self._find(found["enum"])
            return self._value(
                found["word"], [enum] if isinstance(enum, EnumDescriptor) else [], found["enum"]
            )
        found = _VALUE_OF_FIELD.search(text)
        assert found is not None, text
        enums = [
            field.enum_type for field in self._fields if field.name == found["field"] and field.enum_type
        ]
        return self._value(found["word"], enums, found["field"])

    def _option(self, name: str, path: str) -> tuple[str, str, str]:
        option = self._options.get(name)
        if option is None:
            near = _nearest(name, self._options)
            remedy = f"did you mean ({near})?" if near else "import the proto that declares it"
            return f"({name})", "there is no such option here", remedy
        message, *words = option.message_type, *path.strip(".").split(".")
        for word in filter(None, words):
            field = message.fields_by_name.get(word) if message else None
            if field is None:
                return word, *self._field(word, message, message.full_name if message else name)
            message = field.message_type
        return f"({name})", "is not imported", f'import "{file_of(option).name}"'

    @staticmethod
    def _field(word: str, message: Any, name: str) -> tuple[str, str]:
        fields = message.fields_by_name if isinstance(message, Descriptor) else ()
        return f"is no field of {name}", _remedy(word, fields)

    @staticmethod
    def _value(word: str, enums: Iterable[EnumDescriptor], name: str) -> tuple[str, str, str]:
        values = [value for enum in enums for value in enum.values_by_name]
        return word, f"is no value of {name}", _remedy(word, values)

    def _find(self, name: str) -> Descriptor | EnumDescriptor | None:
        for find in (self._pool.FindMessageTypeByName, self._pool.FindEnumTypeByName):
            try:
                return find(name)
            except KeyError:  # a message of the protos that do not compile
                continue
        return None


def _fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    yield from message.fields
    for nested in message.nested_types:
        yield from _fields(nested)


def _remedy(word: str, names: Iterable[str]) -> str:
    """Ask for the name that is most like the word; else list them, if they are few."""
    near, all_names = _nearest(word, names), sorted(names)
    if near:
        return f"did you mean {near}?"
    return f"there are {', '.join(all_names)}" if 0 < len(all_names) <= _FEW else ""


def _nearest(word: str, names: Iterable[str]) -> str:
    """Return the name that is most like the word, whatever their case; none may be like it."""
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), by_lower, 1)
    return by_lower[near[0]] if near else ""
