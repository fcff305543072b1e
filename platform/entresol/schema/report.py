"""The mistakes found so far, so that a person sees all of them at once and not one a run."""

from __future__ import annotations

from google.protobuf.descriptor import FileDescriptor

from entresol.errors import Mistake, SchemaError
from entresol.schema.source import Element, Source, file_of


class Report:
    """Collects mistakes and knows where in the files they are."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._mistakes: dict[Mistake, None] = {}

    def add(self, element: Element, rule: str, problem: str, remedy: str = "", *, option: str = "") -> None:
        """Note a mistake at the element, or at this option of it; the same mistake twice counts once."""
        self._note(file_of(element), element, rule, problem, remedy, option)

    def add_to_file(self, file: FileDescriptor, rule: str, problem: str, remedy: str = "") -> None:
        """Note a mistake of a whole file."""
        self._mistakes[Mistake(file.name, 1, rule, file.package, problem, remedy)] = None

    def _note(
        self, file: FileDescriptor, element: Element, rule: str, problem: str, remedy: str, option: str
    ) -> None:
        line = self._source.line(element, option)
        self._mistakes[Mistake(file.name, line, rule, element.full_name, problem, remedy)] = None

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Return the mistakes in the order of their files and lines."""
        return tuple(sorted(self._mistakes))

    def close(self) -> None:
        """Raise SchemaError when there is any mistake."""
        if self._mistakes:
            raise SchemaError(self.mistakes)
