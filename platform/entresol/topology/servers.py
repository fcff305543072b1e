"""Where a server is, and where it is asked how it is: as people write it, `host:port` or `host:port/check_port`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from entresol.errors import ConfigurationError

PORT_MAX = 65535
# What may stand in a configuration file without quotes, and nothing that could begin a word of its own.
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server, or a name that leads to several. Its checks go to `check_port`, where that is not 0."""

    host: str
    port: int
    check_port: int = 0

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Return the endpoint of `host:port` or `host:port/check_port`.

        Raises:
            ConfigurationError: it is neither.
        """
        address, slash, check = text.partition("/")
        host, _, port = address.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if (
            not (_is_ip(bare) or _HOST.fullmatch(host))
            or not _is_port(port)
            or (slash and not _is_port(check))
        ):
            raise ConfigurationError(
                f"{text!r} is no server: write host:port, or host:port/port-of-its-checks"
            )
        return cls(bare, int(port), int(check or 0))

    @property
    def is_name(self) -> bool:
        """Whether its address must be looked up, and looked up again while the balancer runs."""
        return not _is_ip(self.host)

    def __str__(self) -> str:
        """Return `host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoints(text: str) -> tuple[Endpoint, ...]:
    """Return the endpoints of a list with commas; raises as `Endpoint.parse` does."""
    return tuple(Endpoint.parse(item.strip()) for item in text.split(",") if item.strip())


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) <= PORT_MAX
