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
        file, line = file_of(element).name, self._source.line(element, option)
        self.note(Mistake(file, line, rule, element.full_name, problem, remedy))

    def add_to_file(self, file: FileDescriptor, rule: str, problem: str, remedy: str = "") -> None:
        """Note a mistake of a whole file."""
        self.note(Mistake(file.name, 1, rule, file.package, problem, remedy))

    def note(self, mistake: Mistake) -> None:
        """Note a mistake that knows its place, which may be in no proto."""
        self._mistakes[mistake] = None

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Return the mistakes in the order of their files and lines."""
        return tuple(sorted(self._mistakes))

    def close(self) -> None:
        """Raise SchemaError when there is any mistake."""
        if self._mistakes:
            raise SchemaError(self.mistakes)
