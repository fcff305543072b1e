"""The services that the platform answers itself: operations of jobs for everybody, `entresol.ops.v1` for operators."""

from __future__ import annotations

from collections.abc import Mapping

from entresol.schema.model import Model
from entresol.service.operations import operations, provided_operations
from entresol.service.ops.access import is_ops
from entresol.service.ops.jobs import job_methods
from entresol.service.ops.schedules import schedule_methods
from entresol.service.registry import Function
from entresol.storage.placement import jobs_of
from entresol.storage.pools import Pools
from entresol.storage.timetable import Timetable


def provided_methods(model: Model) -> frozenset[str]:
    """Return the methods that the platform answers, of the services that the protos have."""
    own = (method.full_name for method in model.methods.values() if is_ops(method.full_name))
    return provided_operations(model).union(own)


def provided(model: Model, pools: Pools) -> Mapping[str, Function]:
    """Return the functions of those methods, by full name."""
    jobs, timetable = jobs_of(pools), Timetable(pools)
    own = {**job_methods(jobs, timetable), **schedule_methods(model, timetable)}
    return {
        **operations(model, jobs),
        **{name: own[name] for name in provided_methods(model) if is_ops(name)},
    }
