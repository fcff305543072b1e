"""The check of whole records that come from elsewhere than a request, such as an import."""

from __future__ import annotations

from typing import Any

from entresol.errors import Violation
from entresol.schema import check_names
from entresol.schema.check_declared import DeclaredRules
from entresol.schema.check_walk import REQUIRED, Compiler
from entresol.schema.mask_tree import WHOLE
from entresol.schema.model import Model, Resource


class RecordCheck:
    """The rules of one resource: its name, its required fields, the form of every value, and `buf.validate`."""

    def __init__(self, resource: Resource, model: Model) -> None:
        assert resource.descriptor is not None, "the loader sets it"
        self._walk = Compiler(model).message(resource.descriptor)
        self._declared = DeclaredRules(resource.message_class, model.pool)
        self._name = check_names.matching(resource.patterns)

    def violations(self, record: Any) -> list[Violation]:
        """Return everything wrong with a record, by field."""
        found: list[Violation] = []
        if not record.name:
            found.append(Violation("name", REQUIRED, "REQUIRED"))
        elif (problem := self._name(record.name)) is not None:
            found.append(Violation("name", problem.description, problem.reason))
        self._walk.check(record, "", WHOLE, found)
        known = {violation.field for violation in found}
        return found + [one for one in self._declared.violations(record, WHOLE) if one.field not in known]
