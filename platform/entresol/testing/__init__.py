"""What an application needs to test itself against the real thing: servers, a clock that it moves, conformance."""

from entresol.errors import Code
from entresol.service.status import CallFailedError
from entresol.testing.clock import ManualClock
from entresol.testing.servers import Database, Databases

__all__ = ["CallFailedError", "Code", "Database", "Databases", "ManualClock"]
