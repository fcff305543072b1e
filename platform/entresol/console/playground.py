"""The playground: any method, a request that is an example at first, what came back, and the same call for a shell."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from entresol.config import Settings
from entresol.console.access import WRITE
from entresol.console.catalog import Catalog
from entresol.console.page import Ask, Page, View
from entresol.errors import InvalidArgumentError, NotFoundError, PermissionDeniedError
from entresol.life import Life
from entresol.schema.paths import Binding
from entresol.service.table import Route
from entresol.transport.web.examples import example

_WHOLE = Binding("POST", "", "*")  # an example of the whole request, whatever REST makes of it


class Playground:
    """The page. `mode` says which methods may be called."""

    def __init__(self, catalog: Catalog, addresses: Callable[[], Mapping[str, str]], mode: str) -> None:
        self._model = catalog.model
        self._table = catalog.table
        self._comments = catalog.comments
        self._caller = catalog.caller
        self._addresses = addresses
        self._may_write = mode == WRITE

    def pages(self) -> list[Page]:
        """Return it, twice: to fill in, and with what came back. What may be called is told for each method."""
        return [Page("GET", "/playground", self._filled_in), Page("POST", "/playground", self._sent)]

    async def _filled_in(self, ask: Ask) -> View:
        return self._view(ask, self._route(ask), None)

    async def _sent(self, ask: Ask) -> View:
        route = self._route(ask)
        if not route.method.safe and not self._may_write:
            raise PermissionDeniedError(
                f"{route.method.full_name} may change something, and this console only reads: "
                "ENTRESOL_CONSOLE=write lets it call every method, on a loopback address"
            )
        outcome = await self._caller.call(
            route, ask.form.get("request", ""), ask.session, _metadata(ask.form.get("metadata", ""))
        )
        return self._view(ask, route, outcome, session=outcome.session)

    def _route(self, ask: Ask) -> Route:
        path = ask.given.get("method") or self._first()
        route = self._table.get(path)
        if route is None:
            raise NotFoundError(path)
        return route

    def _first(self) -> str:
        safe = (path for path, route in self._table.items() if route.method.safe)
        return next(safe, next(iter(self._table), ""))

    def _view(self, ask: Ask, route: Route, outcome: Any, session: str = "") -> View:
        method = route.method
        request = ask.given.get("request") or _text(example(self._model, method, _WHOLE))
        metadata = ask.given.get("metadata", "")
        values = {
            "services": self._services(),
            "method": method,
            "is_allowed": method.safe or self._may_write,
            "comment": self._comments.get(method.full_name, ""),
            "request": request,
            "metadata": metadata,
            "outcome": outcome,
            "commands": self._commands(method.path, request, metadata),
        }
        return View("playground.html", values, session=session)

    def _services(self) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        return [
            (
                service.full_name,
                [
                    (method.path, method.full_name.rpartition(".")[2], method.safe or self._may_write)
                    for method in service.methods
                    if method.path in self._table
                ],
            )
            for service in self._model.services.values()
        ]

    def _commands(self, path: str, request: str, metadata: str) -> list[tuple[str, str]]:
        """Return lines for a shell that make the same call, of each tool whose port there is."""
        addresses, data = self._addresses(), shlex.quote(_one_line(request))
        headers = [line.strip() for line in metadata.splitlines() if line.strip()]
        given = "".join(f" -H {shlex.quote(header)}" for header in headers)
        found = []
        if web := addresses.get("web"):
            found.append(("curl", f"curl -H 'content-type: application/json'{given} -d {data} {web}{path}"))
        if grpc := addresses.get("grpc"):
            found.append(
                (
                    "grpcurl",
                    f"grpcurl {grpc.partition(' ')[0]}{given} -d {data} {grpc.partition(' ')[2]} {path[1:]}",
                )
            )
        return found


def addresses_of(settings: Settings, life: Life) -> Mapping[str, str]:
    """Return where this server is called: the web's port as a URL, that of gRPC with grpcurl's options before it."""
    is_secure = bool(settings.tls_certificate)
    found = {}
    for told in life.facts().get("transport", ()):
        is_web = told["protocol"] == "web"
        host = (settings.web_listen if is_web else settings.listen).rpartition(":")[0]
        address = f"{'localhost' if host in ('', '0.0.0.0', '[::]') else host}:{told['port']}"  # noqa: S104  # compared
        if is_web:
            found["web"] = f"{'https' if is_secure else 'http'}://{address}"
        else:
            found["grpc"] = f"{'-insecure' if is_secure else '-plaintext'} {address}"
    return found


def _metadata(text: str) -> dict[str, str]:
    """Return the lines `name: value`, names in lower case.

    Raises:
        InvalidArgumentError: a line is none.
    """
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise InvalidArgumentError.of("metadata", f"{line!r} is not `name: value`")
        found[name.strip().lower()] = value.strip()
    return found


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _one_line(text: str) -> str:
    """Return JSON on one line; what is none, as it is."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except ValueError:
        return text
