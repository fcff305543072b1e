"""Rules 1 to 4, 6 and 8: resource types, their singular and plural, and the patterns of their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from entresol.schema import options
from entresol.schema.model import Resource
from entresol.schema.names import Pattern
from entresol.schema.resources import blank
from entresol.schema.rules.scope import Scope, message_of

_TYPE = re.compile(r"[a-z0-9][a-z0-9.-]*/[A-Z][a-zA-Z0-9]*")
_CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")
_VARIABLE = re.compile(r"[a-z][_a-z0-9]*[a-z0-9]")


def check_names(scope: Scope) -> None:
    """Report what is wrong with the `google.api.resource` of each resource."""
    for resource in scope.resources:
        check = _Check(scope, resource)
        check.type()
        check.forms()
        check.patterns()


class _Check:
    """The checks of one resource."""

    def __init__(self, scope: Scope, resource: Resource) -> None:
        self._report = scope.report
        self._resource = resource
        self._message = message_of(resource)

    def _add(self, rule: str, problem: str, remedy: str) -> None:
        self._report.add(self._message, rule, problem, remedy, option=options.RESOURCE)

    def type(self) -> None:
        given = self._resource.type
        if not _TYPE.fullmatch(given):
            example = f"news.example.com/{self._message.name}"
            self._add("AIP-123", f"type {given!r} is not <service>/<Type>", f"write for example {example!r}")
        elif given.rpartition("/")[2] != self._message.name:
            self._add(
                "AIP-123",
                f"type {given!r} does not end with the message's name",
                f"end it with '/{self._message.name}', or rename the message",
            )

    def forms(self) -> None:
        singular, plural = self._resource.singular, self._resource.plural
        if not _CAMEL.fullmatch(singular) or singular.lower() != self._message.name.lower():
            wanted = self._message.name[:1].lower() + self._message.name[1:]
            self._add(
                "AIP-123",
                f"singular {singular!r} is not the type in lowerCamelCase",
                f"write singular: {wanted!r}",
            )
        if not _CAMEL.fullmatch(plural):
            self._add(
                "AIP-123",
                f"plural {plural!r} is not a word in lowerCamelCase",
                "write the plural as collection and method names use it",
            )

    def patterns(self) -> None:
        patterns = self._resource.patterns
        if not patterns:
            self._add("AIP-123", "has no pattern", "write for example pattern: 'stories/{story}'")
        for pattern in patterns:
            self._pattern(pattern)
        blanked = [blank(pattern.text) for pattern in patterns]
        for text in _repeated(blanked):
            self._add(
                "AIP-123", f"two patterns are both {text!r} without their variables", "keep one of them"
            )
        self._shortened(patterns)

    def _pattern(self, pattern: Pattern) -> None:
        problems = [self._segment(pattern, index, segment) for index, segment in enumerate(pattern.segments)]
        if any(problems):
            return
        for word in _repeated(pattern.segments):
            kind = "variable" if word.startswith("{") else "collection"
            rule = "AIP-123" if word.startswith("{") else "AIP-122"
            self._add(rule, f"pattern {pattern.text!r} has the {kind} {word!r} twice", "rename one of them")
        if not pattern.singleton and not has_plural(self._resource, pattern):
            self._add(
                "AIP-123",
                f"pattern {pattern.text!r} does not end with the plural {self._resource.plural!r} and an id",
                f"name its last collection {self._resource.plural!r}",
            )

    def _segment(self, pattern: Pattern, index: int, segment: str) -> bool:
        """Report what is wrong with one segment, and tell whether anything is."""
        text = f"pattern {pattern.text!r}"
        if index % 2 == 0 and not _CAMEL.fullmatch(segment):
            remedy = "alternate collections and {variables}; a collection begins with a lower-case letter"
            self._add("AIP-122", f"{text}: {segment!r} is not a collection", remedy)
            return True
        if index % 2 == 0:
            return False
        if not (segment.startswith("{") and segment.endswith("}")) or segment.count("{") > 1:
            remedy = "let one segment hold one variable; several ids in one segment are not allowed"
            self._add("AIP-122", f"{text}: {segment!r} is not one variable", remedy)
            return True
        return self._variable(text, segment[1:-1])

    def _variable(self, text: str, variable: str) -> bool:
        if not _VARIABLE.fullmatch(variable):
            remedy = "use lower-case letters, digits and inner underscores, at least two of them"
            self._add("AIP-123", f"{text}: {variable!r} is not a variable's name", remedy)
            return True
        if variable.endswith("_id"):
            remedy = f"write {{{variable.removesuffix('_id')}}}"
            self._add("AIP-123", f"{text}: variable {variable!r} ends with _id", remedy)
            return True
        return False

    def _shortened(self, patterns: Iterable[Pattern]) -> None:
        """Report a collection that is shortened in one pattern and not in another where it could be."""
        used = {
            pattern.segments[-2] == short
            for pattern in patterns
            if not pattern.singleton and (short := _short(self._resource, pattern)) is not None
        }
        if len(used) > 1:
            self._add(
                "AIP-122",
                "some patterns leave the parent's name out of the collection and others do not",
                "shorten the collection in all of them or in none",
            )


def has_plural(resource: Resource, pattern: Pattern) -> bool:
    """Tell whether the last collection is the plural, or the plural without the parent's name (AIP-122)."""
    return pattern.segments[-2:-1] in ((resource.plural,), (_short(resource, pattern),))


def _short(resource: Resource, pattern: Pattern) -> str | None:
    """Return `events` for the plural `userEvents` below `users/{user}`."""
    if len(pattern.variables) < 2:
        return None
    parent = _camel(pattern.variables[-2])
    rest = resource.plural.removeprefix(parent)
    return rest[:1].lower() + rest[1:] if rest != resource.plural and rest[:1].isupper() else None


def _camel(snake: str) -> str:
    first, *rest = snake.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _repeated(words: Iterable[str]) -> list[str]:
    return [word for word, count in Counter(words).items() if count > 1]
