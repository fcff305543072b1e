"""Two models side by side, and the reports on what lies between them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, ServiceDescriptor

from entresol.schema.model import Model
from entresol.schema.report import Report
from entresol.schema.source import Element, Source, is_own

RULE = "AIP-180"
_UNSTABLE = re.compile(r".*\.v\d+(p\d+)?(alpha|beta)\d*")
_Named = TypeVar("_Named", Descriptor, EnumDescriptor, ServiceDescriptor)


class Comparison:
    """The step from one model to the next. `gone` is written in lines of the old files, `report` of the new."""

    def __init__(self, old: Model, new: Model) -> None:
        self.old_model, self.new_model = old, new
        self.old, self.new = Source(old.descriptor_set), Source(new.descriptor_set)
        self.gone, self.report = Report(self.old), Report(self.new)

    def kept(self, old: Iterable[_Named], new: Iterable[_Named]) -> list[tuple[_Named, _Named]]:
        """Return what is in both, and report what is in the old one only, or in another file by now."""
        found = {one.full_name: one for one in new}
        both: list[tuple[_Named, _Named]] = []
        for one in old:
            if not is_stable(one):
                continue
            if one.full_name not in found:
                self.lost(one)
                continue
            both.append((one, found[one.full_name]))
            self._same_file(*both[-1])
        return both

    def lost(self, element: Element, what: str = "was removed or renamed") -> None:
        """Report an element of the old files that the new ones lack."""
        self.gone.add(element, RULE, what, "keep it, and mark it deprecated")

    def _same_file(self, old: _Named, new: _Named) -> None:
        if old.file.name != new.file.name:
            self.report.add(new, RULE, f"was moved here from {old.file.name}", "move it back")


def is_stable(element: Descriptor | EnumDescriptor | ServiceDescriptor) -> bool:
    """Tell whether callers may rely on the element: an own one, in no alpha or beta."""
    return is_own(element.file.name) and not _UNSTABLE.fullmatch(element.file.package)
