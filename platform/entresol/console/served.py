"""The console of a server: every page, over its own method table and stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from entresol.clock import Clock
from entresol.config import Settings
from entresol.console.access import mode_of
from entresol.console.calls import Caller
from entresol.console.catalog import Catalog
from entresol.console.changes import Changes
from entresol.console.console import Console
from entresol.console.jobs import JobPages
from entresol.console.playground import Playground, addresses_of
from entresol.console.resources import Resources
from entresol.console.schedules import SchedulePages
from entresol.console.topology import Overview, Own
from entresol.console.verifications import VerificationPages
from entresol.life import Life
from entresol.schema.comments import comments_of
from entresol.schema.model import Model
from entresol.service.table import Route
from entresol.storage.placement import jobs_of
from entresol.storage.pools import Pools
from entresol.storage.timetable import Timetable
from entresol.storage.verifications import Verifications
from entresol.transport.web.exchange import Answer, Request
from entresol.transport.web.json_codec import JsonCodec


def console_of(
    settings: Settings, model: Model, table: Mapping[str, Route], pools: Pools, clock: Clock, life: Life
) -> Callable[[Request], Answer]:
    """Return what answers the console's requests.

    Raises:
        ConfigurationError: of the setting.
    """
    comments = comments_of(model.descriptor_set)
    caller = Caller(JsonCodec(model.descriptor_set), clock)
    catalog = Catalog(model, table, comments, caller)
    jobs, timetable = jobs_of(pools), Timetable(pools)

    def addresses() -> Mapping[str, str]:
        return addresses_of(settings, life)

    def target() -> str:
        return addresses().get("grpc", settings.listen).rpartition(" ")[2]

    pages = [
        *Overview(Own(life)).pages(),
        *VerificationPages(Verifications(pools), target).pages(),
        *Resources(catalog).pages(),
        *Changes(catalog).pages(),
        *JobPages(model, jobs, timetable).pages(),
        *SchedulePages(model, timetable).pages(),
        *Playground(catalog, addresses, mode_of(settings)).pages(),
    ]
    return Console(pages, settings, life.role or "server").answer
