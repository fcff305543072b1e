"""The coherent cache over Redis: no entry stays older than its row, whatever crashes, lags, or is lost."""

from entresol.cache.entries import Entries
from entresol.cache.entry import Entry, Rank
from entresol.cache.fill import Fill
from entresol.cache.flights import Flights
from entresol.cache.gate import Snapshot
from entresol.cache.keys import Key
from entresol.cache.relay import Relay
from entresol.cache.server import check_server
from entresol.cache.session import Session
from entresol.cache.tokens import SessionTokens

__all__ = [
    "Entries",
    "Entry",
    "Fill",
    "Flights",
    "Key",
    "Rank",
    "Relay",
    "Session",
    "SessionTokens",
    "Snapshot",
    "check_server",
]
