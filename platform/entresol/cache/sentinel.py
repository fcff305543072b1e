"""The primary that Sentinels keep: asked for by name whenever a connection is made, and asked itself whether it is one.

A primary that failed over leaves its clients (Sentinel ends their connections), or refuses their writes; either way the
connection is closed (`wire.py`) and the Sentinels are asked again.
"""

from __future__ import annotations

from entresol.cache.address import Address, Addresses
from entresol.cache.asking import ask_first
from entresol.cache.failure import CacheError
from entresol.cache.wire import Reply, Wire


class Sentinels:
    """Some Sentinels, of which the one that answered last is asked first."""

    def __init__(self, addresses: Addresses) -> None:
        self._hosts = [*addresses.hosts]
        self._name = addresses.name
        self._database = addresses.database

    async def primary(self) -> Address:
        """Return where the primary is, as the first Sentinel says that answers.

        Raises:
            CacheError: none of them knows.
        """
        question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        host, reply = await ask_first(self._hosts, [question], self._read)
        self._hosts.remove(host)
        self._hosts.insert(0, host)
        name, port = reply
        return host.at(name, port, self._database)

    async def check(self, wire: Wire) -> None:
        """Raise CacheError unless the server is a primary: Sentinels may tell of one that is not yet, or no longer."""
        ((role, *_),) = await wire.send([("ROLE",)])
        if role != b"master":
            raise CacheError(f"the server that Sentinels call primary is {role.decode()}", "READONLY")

    def _read(self, replies: list[Reply]) -> tuple[str, int]:
        if replies[0] is None:
            raise CacheError(f"it knows no {self._name}", "unknown")
        name, port = replies[0]
        return name.decode(), int(port)
