"""Who may use the console: where it may be opened, by what names, and whose pages may send its forms."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import replace
from urllib.parse import urlsplit

from entresol.config import Settings, given
from entresol.errors import ConfigurationError
from entresol.transport.web.exchange import Request

OFF, READ, WRITE = "off", "read", "write"
TOKEN = "token"  # noqa: S105  # the name of a form's field
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def mode_of(settings: Settings) -> str:
    """Return what the console may do.

    Raises:
        ConfigurationError: there is no such mode, no port for it, or writes would be open to other machines.
    """
    mode, address = settings.console, settings.admin_listen
    if mode not in (OFF, READ, WRITE):
        raise _wrong(f"{mode!r} is none of {OFF}, {READ} and {WRITE}")
    if mode != OFF and not address:
        raise _wrong(f"{mode} needs a port for the console: set ENTRESOL_ADMIN_LISTEN")
    if mode == WRITE and not is_loopback(address):
        raise _wrong(
            f"{WRITE} would let whoever reaches {address} change records, for callers are not authenticated: set "
            f"ENTRESOL_ADMIN_LISTEN to a loopback address, 127.0.0.1:9464, or ENTRESOL_CONSOLE to {READ}"
        )
    return mode


def console_at_home(settings: Settings) -> Settings:
    """Return settings with a console to read, where nobody has said otherwise and only this machine can reach it."""
    if "console" in given() or not is_loopback(settings.admin_listen):
        return settings
    return replace(settings, console=READ)


def is_loopback(address: str) -> bool:
    """Tell whether only this machine reaches `host:port`."""
    host = _host(address)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Tells the operator's own browser and pages from others that would use them."""

    def __init__(self, settings: Settings) -> None:
        self.token = secrets.token_urlsafe(24)
        named = _host(settings.admin_listen)
        # 0.0.0.0 is no name: browsers take it for this machine, and so would a page of another.
        self._hosts = _LOOPBACK if _is_unspecified(named) else _LOOPBACK | {named}

    def refusal(self, request: Request) -> str:
        """Return why the page is not for who asks: a name that leads here, and is not ours, may be anybody's."""
        host = _host(request.headers.get("host", ""))
        if host in self._hosts:
            return ""
        return (
            f"the console does not answer to the name {host!r}, but to {', '.join(sorted(self._hosts))}: open it by "
            "one of these, through a tunnel if it is on another machine\n"
        )

    def form_refusal(self, request: Request, token: str) -> str:
        """Return why a form is not taken: it must come from a page of this console."""
        if refusal := self.origin_refusal(request):
            return refusal
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return "the form is of a page that is too old: load it again"
        return ""

    def origin_refusal(self, request: Request) -> str:
        """Return why what sends a form is no page of this console, as far as the browser tells."""
        headers = request.headers
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "the form comes from another site"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return "the form comes from another origin"
        return ""


def _host(address: str) -> str:
    """Return the host of `host:port`, in lower case; empty where it cannot be told."""
    try:
        return urlsplit(f"//{address}").hostname or ""
    except ValueError:
        return ""


def _is_unspecified(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _wrong(text: str) -> ConfigurationError:
    return ConfigurationError(f"setting console: {text}", metadata={"setting": "console"})
