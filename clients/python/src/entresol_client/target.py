"""Where a connection goes: whatever gRPC understands, or several servers by their addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

_RESOLVED = ("dns:///", "ipv4:", "ipv6:")


def target_of(addresses: Sequence[str]) -> str:
    """Return the target that stands for all these servers.

    Raises:
        ValueError: there is none, or they are not all of one kind, IPv4 or IPv6, with a port.
    """
    versions = {_version(address) for address in addresses}
    if len(versions) != 1 or None in versions:
        raise ValueError(
            f"{list(addresses)}: give IP addresses of one version, each with its port; for names, let one "
            "DNS name stand for all servers: dns:///name:9000"
        )
    return f"ipv{versions.pop()}:{','.join(addresses)}"


def is_one_server(target: str) -> bool:
    """Tell whether all calls go to one address whatever happens, be it a server or a proxy beside the caller."""
    if target.startswith("unix"):
        return True
    for prefix in _RESOLVED:
        target = target.removeprefix(prefix)
    return _version(target) is not None or _host(target) == "localhost"


def _version(address: str) -> int | None:
    try:
        return ipaddress.ip_address(_host(address)).version
    except ValueError:
        return None


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")
