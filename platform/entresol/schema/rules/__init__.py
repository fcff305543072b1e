"""The rules of a proto, one file per concern: each reads the scope and reports what it finds, raising nothing."""

from __future__ import annotations

from collections.abc import Callable

from entresol.schema.rules.behaviors import check_behaviors
from entresol.schema.rules.bindings import check_bindings
from entresol.schema.rules.declarative import check_declarative
from entresol.schema.rules.events import check_events
from entresol.schema.rules.graph import check_graph
from entresol.schema.rules.indexes import check_indexes
from entresol.schema.rules.jobs import check_jobs
from entresol.schema.rules.list_scopes import check_list_scopes
from entresol.schema.rules.messages import check_messages
from entresol.schema.rules.methods import check_methods
from entresol.schema.rules.names import check_names
from entresol.schema.rules.policies import check_policies
from entresol.schema.rules.references import check_references
from entresol.schema.rules.scope import Scope
from entresol.schema.rules.singletons import check_singletons
from entresol.schema.rules.standard_fields import check_standard_fields
from entresol.schema.rules.tables import check_tables

Rule = Callable[[Scope], None]

RULES: tuple[Rule, ...] = (
    check_names,
    check_standard_fields,
    check_behaviors,
    check_messages,
    check_graph,
    check_references,
    check_singletons,
    check_methods,
    check_bindings,
    check_declarative,
    check_tables,
    check_indexes,
    check_policies,
    check_list_scopes,
    check_events,
    check_jobs,
)
